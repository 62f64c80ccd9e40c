//go:build linux || darwin

package main

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/turnstile-go/turnstile/bench"
)

// saved is a report of made-up figures, in a file.
func saved(t *testing.T) (file string, r *bench.Report) {
	t.Helper()
	r = &bench.Report{
		Version: bench.FormatVersion, Started: time.Unix(1_700_000_000, 0), Command: []string{"turnstile", "bench"},
		Environment: bench.Environment{Platform: "plan9/mips", CPU: "Abacus 2", CPUs: 2},
	}
	for _, name := range []string{"mutex", "script-a=b/c-redis"} {
		r.Strategies = append(r.Strategies, bench.Listed{Name: name, Description: bench.Description{Place: bench.PlaceProcess}})
		for _, x := range []float64{1, 8, 64} {
			r.Runs = append(r.Runs, bench.Run{
				Strategy: name, Experiment: bench.Contenders, X: x, Round: 1, Elapsed: 2, Holds: uint64(4000 * x), Rate: 2000 * x, Jain: 1,
				Workload: bench.Workload{Goroutines: int(x), Keys: 1, Duration: 2 * time.Second},
				Wait: bench.Distribution{Count: 100, Min: 1e-6, Mean: 2e-6, Max: 1e-3, Quantiles: []bench.Quantile{
					{Q: 0.5, V: 1e-6}, {Q: 0.99, V: 1e-4}, {Q: 1, V: 1e-3},
				}},
			})
		}
	}
	file = filepath.Join(t.TempDir(), "run.json")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file, r
}

func stdoutOf(t *testing.T, args ...string) []byte {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("turnstile", args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("turnstile %v: %v: %s", args, err, &said)
	}
	return out
}

// TestBenchstatReadsGobench takes benchstat's own parser.
func TestBenchstatReadsGobench(t *testing.T) {
	t.Parallel()
	file, r := saved(t)
	reader := benchfmt.NewReader(bytes.NewReader(stdoutOf(t, "bench", "--from", file, "--format", "gobench")), "stdout")
	var seen []string
	for reader.Scan() {
		switch line := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(line)
		case *benchfmt.Result:
			_, parts := line.Name.Parts()
			seen = append(seen, string(bytes.Join(parts, nil)))
			run := r.Runs[len(seen)-1]
			if line.Iters != int(run.Holds) {
				t.Errorf("%s: %d holds, want %d", line.Name, line.Iters, run.Holds)
			}
			// benchfmt turns ns/op into sec/op.
			if v, ok := line.Value("sec/op"); !ok || v*run.Rate < 0.999 || v*run.Rate > 1.001 {
				t.Errorf("%s: %v s a hold at %v holds/s", line.Name, v, run.Rate)
			}
			if goos := line.GetConfig("goos"); goos != "plan9" {
				t.Errorf("%s: measured on %q", line.Name, goos)
			}
		}
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(r.Runs) || seen[5] != "/strategy=script-a_b_c-redis/contenders=64-2" {
		t.Errorf("benchmarks %q", seen)
	}
}

// TestFiguresAreFiles draws for both themes, and replaces nothing with half a file.
func TestFiguresAreFiles(t *testing.T) {
	t.Parallel()
	file, _ := saved(t)
	dir := filepath.Join(t.TempDir(), "made", "figures")
	stdoutOf(t, "bench", "--from", file, "--figures", dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(text, new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		if !strings.Contains(string(text), ">mutex<") {
			t.Errorf("%s does not name mutex", e.Name())
		}
	}
	if got := strings.Join(names, " "); got != "throughput-dark.svg throughput-light.svg waits-dark.svg waits-light.svg" {
		t.Errorf("wrote %s", got)
	}
}

// TestBarIsDrawnAndTakenAway on a terminal.
func TestBarIsDrawnAndTakenAway(t *testing.T) {
	t.Parallel()
	s := openScreen(t, "", "turnstile", "bench", "--strategies", "channel", "--duration", "600ms", "--warmup", "5ms", "--repeat", "2", "--goroutines", "2")
	s.expect("/2 runs [")
	s.expect("left: custom, channel")
	s.expect("custom: 2 goroutines, 1 key, 2 rounds")
	if code := s.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
