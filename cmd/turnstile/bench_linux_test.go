package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/turnstile-go/turnstile/bench"
)

// TestCtrlCShowsWhatWasMeasured presses it in a real terminal, where the workers and
// the server get it as well. The run that is broken off has a minute to go: what it
// has measured until then needs all of them, alive.
func TestCtrlCShowsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said, saved := filepath.Join(dir, "said"), filepath.Join(dir, "run.json")
	s := openScreen(t, "", "sh", "-c", `exec "$@" 2>"$0"`, said, "turnstile", "bench", "--strategies", "retools", "--start-servers",
		"--processes", "2", "--goroutines", "2", "--duration", "1m", "--warmup", "0", "--repeat", "5", "--save", saved)
	eventually(t, "keys on the server", func() bool { return holds(saved) })
	s.press("\x03")
	s.expect("Broken off: not all that was planned was measured.")
	s.expect("2 processes of 2 goroutines")
	if code := s.code(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	f, err := os.Open(saved)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := bench.ReadReport(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Failures) > 0 || !r.Cut || len(r.Runs) != 1 || !r.Runs[0].Cut || r.Runs[0].Holds == 0 {
		t.Errorf("cut %v, failures %v, runs %+v", r.Cut, r.Failures, r.Runs)
	}
}

// holds says whether there is a key on the server of the bench whose command line
// has word in it.
func holds(word string) bool {
	bench, _ := exec.Command("pgrep", "-f", "^turnstile bench .*"+word).Output() // none yet is a failure to pgrep
	servers, _ := exec.Command("pgrep", "-a", "-P", strings.TrimSpace(string(bench)), "redis-server").Output()
	_, addr, _ := strings.Cut(strings.TrimSpace(string(servers)), "redis-server ")
	if addr, _, _ = strings.Cut(addr, " "); addr == "" {
		return false
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	size := make([]byte, 2)
	_, err = conn.Write([]byte("DBSIZE\r\n"))
	_, short := io.ReadFull(conn, size)
	return err == nil && short == nil && string(size) != ":0"
}

// TestNothingOutlivesAKilledBench looks for workers and servers.
func TestNothingOutlivesAKilledBench(t *testing.T) {
	t.Parallel()
	r := launch(t, "", "bench", "--strategies", "turnstile-redis", "--start-servers", "--processes", "2", "--goroutines", "2", "--duration", "1m", "--repeat", "1")
	var children []int
	eventually(t, "a server and two workers", func() bool {
		// It has none until then, which pgrep calls a failure.
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(r.cmd.Process.Pid)).Output()
		children = nil
		for _, field := range strings.Fields(string(out)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, pid)
		}
		return len(children) == 3
	})
	r.signal(t, syscall.SIGKILL)
	for _, pid := range children {
		eventually(t, "the end of a child", func() bool { return !runs(pid) })
	}
}
