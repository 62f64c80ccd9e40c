package inherited

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// reportEnv makes the test binary report the signals that its child processes find
// ignored.
const reportEnv = "TURNSTILE_TEST_REPORT_IGNORED"

func TestMain(m *testing.M) {
	if os.Getenv(reportEnv) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	Keep()
	fmt.Printf("SigIgn:\t%016x\n", told())
	started := exec.Command("grep", "SigIgn", "/proc/self/status")
	started.Stdout, started.Stderr = os.Stdout, os.Stderr
	if err := started.Run(); err != nil {
		fmt.Println(err)
	}
}

// told has bit n-1 set for each signal n that [signal.Ignored] reports.
func told() (mask uint64) {
	for _, sig := range handed {
		if signal.Ignored(sig) {
			mask |= 1 << (sig - 1)
		}
	}
	return mask
}

// Processes that are started inherit the ignored signals, and [signal.Ignored] reports
// them. Both ways to know are tried, whichever this binary is built with.
func TestWhatWasIgnoredAtTheStartIsHandedOn(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	build := exec.Command("go", "test", "-c", "-o", plain, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, program := range []string{os.Args[0], plain} {
		for _, ignored := range [][]string{
			{}, {"PIPE"}, {"TERM"}, {"HUP", "INT"}, {"TSTP", "TTIN", "TTOU"},
			{"HUP", "INT", "QUIT", "PIPE", "ALRM", "TERM", "USR1", "USR2", "TSTP", "TTIN", "TTOU", "XCPU", "XFSZ"},
		} {
			t.Run(filepath.Base(program)+" "+strings.Join(ignored, " "), func(t *testing.T) {
				// The command run directly, with no Go in between, shows the signals
				// that have to be handed on.
				want := strings.Repeat(report(t, ignored, "grep", "SigIgn", "/proc/self/status"), 2)
				if got := report(t, ignored, program); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
		t.Run(filepath.Base(program)+" CHLD", func(t *testing.T) {
			want := strings.Repeat(report(t, nil, "grep", "SigIgn", "/proc/self/status"), 2)
			if got := report(t, []string{"CHLD"}, program); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// report runs a command that ignores these signals at its start, and no others.
func report(t *testing.T, ignored []string, command ...string) string {
	t.Helper()
	args := []string{"--default-signal"}
	for _, name := range ignored {
		args = append(args, "--ignore-signal="+name)
	}
	cmd := exec.Command("env", slices.Concat(args, command)...)
	cmd.Env = append(os.Environ(), reportEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Signals 32 and up are libc's own or real-time ones. Programs that are started by
	// posix_spawn of glibc, as make starts its own, find signal 32 ignored, and env can't
	// undo it.
	report := ""
	for line := range strings.Lines(string(out)) {
		var mask uint64
		if _, err := fmt.Sscanf(line, "SigIgn:\t%x", &mask); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		report += fmt.Sprintf("SigIgn:\t%016x\n", mask&(1<<31-1))
	}
	return report
}
