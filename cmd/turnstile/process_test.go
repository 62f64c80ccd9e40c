//go:build linux || darwin

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A running is a turnstile under test.
type running struct {
	cmd    *exec.Cmd
	out    *os.File
	lines  *bufio.Reader
	stderr *transcript
	waited chan struct{}
}

// A transcript is a buffer that may be read while a process writes to it.
type transcript struct {
	mu   sync.Mutex // protects text
	text bytes.Buffer
}

func (b *transcript) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *transcript) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// launch starts turnstile with a backend.
func launch(t *testing.T, backend string, args ...string) *running {
	t.Helper()
	return launchFile(t, "turnstile", backend, args...)
}

// launchFile is launch for a turnstile of its own.
func launchFile(t *testing.T, file, backend string, args ...string) *running {
	t.Helper()
	cmd := exec.Command(file, args...)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
	return launchCmd(t, cmd)
}

// launchCmd is launch for a command that is made ready but for its output; it may
// have a stderr of its own.
func launchCmd(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd, out: out, lines: bufio.NewReader(out), waited: make(chan struct{})}
	r.stderr = new(transcript)
	r.cmd.Stdout = in
	if r.cmd.Stderr == nil {
		r.cmd.Stderr = r.stderr
	}
	// Grandchildren that a failing test leaves may keep stderr open.
	r.cmd.WaitDelay = time.Second
	err = r.cmd.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the cleanup makes sure of
		_ = r.cmd.Wait()
		close(r.waited)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.waited
		out.Close()
	})
	return r
}

// line is the next line of stdout.
func (r *running) line(t *testing.T) string {
	t.Helper()
	if err := r.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	s, err := r.lines.ReadString('\n')
	if err != nil {
		t.Fatalf("no line on stdout: %v (%s)", err, r.stderr)
	}
	return strings.TrimSuffix(s, "\n")
}

// number is the next line of stdout as a number: a process id.
func (r *running) number(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(r.line(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (r *running) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end and checks the exit code.
func (r *running) exit(t *testing.T, want int) {
	t.Helper()
	select {
	case <-r.waited:
	case <-time.After(patience):
		t.Fatal("turnstile does not end")
	}
	if got := r.cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("exit code %d, want %d (%s)", got, want, r.stderr)
	}
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// runs reports whether a process runs; a zombie does not.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return os.IsNotExist(err) && !isDir("/proc/self") // macOS: kill(2) has told
	}
	state := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[0]
	return state != "Z" && state != "X"
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// onEach runs a test over a file://, a redis:// and a memcache:// backend.
func onEach(t *testing.T, test func(t *testing.T, backend string)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		test(t, fileBackend(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, servertest.Redis(t).URL())
	})
	t.Run("memcached", func(t *testing.T) {
		t.Parallel()
		test(t, servertest.Memcached(t).URL())
	})
}

func fileBackend(t *testing.T) string { return "file://" + filepath.Join(t.TempDir(), "locks") }

// launchEnv is launch on a backend of its own, with one more variable.
func launchEnv(t *testing.T, variable string, args ...string) *running {
	t.Helper()
	cmd := exec.Command("turnstile", args...)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
	if variable != "" {
		cmd.Env = append(cmd.Env, variable)
	}
	return launchCmd(t, cmd)
}
