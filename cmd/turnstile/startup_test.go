//go:build linux || darwin

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A start is too quick for a shell script to notice, on an idle machine. The second
// bound is relative to the machine: beyond the work of turnstile version, a run does
// little but start the guard, which is another process.
func TestARunStartsInNoTimeAndTheBinaryIsSmall(t *testing.T) {
	if !*long {
		t.Parallel()
	}
	name := filepath.Join(t.TempDir(), "turnstile")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // with nothing in the build cache
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", name, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(name); err != nil || info.Size() >= 30_000_000 {
		t.Errorf("the stripped binary: %v bytes, want under 30 MB (%v)", info.Size(), err)
	} else {
		t.Logf("the stripped binary: %.1f MB", float64(info.Size())/1e6)
	}
	if !*long {
		return
	}
	backend := fileBackend(t)
	median := func(args ...string) time.Duration {
		var took []time.Duration
		for range 15 {
			begin := time.Now()
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	bare, idle, locked := median("true"), median(name, "version"), median(name, "--backend", backend, "run", "k", "--", "true")
	t.Logf("true: %v; under turnstile: %v; turnstile version: %v", bare, locked, idle)
	if more := locked - bare; more > 250*time.Millisecond {
		t.Errorf("turnstile adds %v to a command, median", more)
	}
	if locked > 3*idle {
		t.Errorf("a run takes %v, median, and turnstile version %v", locked, idle)
	}
}
