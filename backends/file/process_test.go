//go:build linux || darwin

package file

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// The test binary executes itself as another process when this is set.
const (
	roleVariable = "TURNSTILE_FILE_TEST_ROLE"
	dirVariable  = "TURNSTILE_FILE_TEST_DIR"
)

const rounds = 250

// play is a process of a test: it does its role, says so on stdout, and ends
// when its stdin does.
func play(role string) {
	if alone, ok := map[string]func(dir string) error{"full disk": fillDisk, "look": lookAround, "few descriptors": openWithFew}[role]; ok {
		if err := alone(os.Getenv(dirVariable)); err != nil {
			fail(err)
		}
		return
	}
	b, err := Open(os.Getenv(dirVariable))
	if err != nil {
		fail(err)
	}
	switch role {
	case "hold", "share":
		var c claims
		r := c.request("k")
		if role == "share" {
			r = c.taker("k", 2, 1)
		}
		if reply, err := b.Acquire(context.Background(), r); err != nil || reply.Outcome != backends.Granted {
			fail(fmt.Errorf("%v, %w", reply.Outcome, err))
		}
		fmt.Println("holds")
		io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is gone
	case "lock record":
		if _, err := b.lock(context.Background(), recordName("k"), true); err != nil {
			fail(err)
		}
		fmt.Println("holds")
		io.Copy(io.Discard, os.Stdin)
	case "count":
		if err := countUp(b, filepath.Join(os.Getenv(dirVariable), "counter")); err != nil {
			fail(err)
		}
		b.Close()
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// countUp reads and writes a plain file under the lock.
func countUp(b *Backend, path string) error {
	var c claims
	for range rounds {
		r := c.request("k")
		if err := await(b, r, time.Minute); err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return fmt.Errorf("somebody else was writing: %w", err)
		}
		if err := os.WriteFile(path, strconv.AppendInt(nil, int64(n+1), 10), 0o600); err != nil {
			return err
		}
		if err := b.Release(context.Background(), r.Attempt); err != nil {
			return err
		}
	}
	return nil
}

// await repeats an attempt at the backend's pace.
func await(b *Backend, r backends.Request, within time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	for ; ; r.Probe++ {
		reply, err := b.Acquire(ctx, r)
		if err != nil {
			return err
		}
		if reply.Outcome == backends.Granted {
			return nil
		}
		if err := b.nap(ctx, reply.Retry); err != nil {
			return err
		}
	}
}

// process starts the test binary in a role and waits until it says that it
// has done its part.
func process(t *testing.T, role, dir string, extra ...*os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = extra
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || said != "holds\n" {
		t.Fatalf("%s: said %q, %v", role, said, err)
	}
	return cmd
}

func TestProcessesLoseNoCount(t *testing.T) {
	t.Parallel()
	const processes = 4
	dir := t.TempDir()
	counter := filepath.Join(dir, "counter")
	if err := os.WriteFile(counter, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	for range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"=count", dirVariable+"="+dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	got, err := os.ReadFile(counter)
	if err != nil || string(got) != strconv.Itoa(processes*rounds) {
		t.Errorf("%d sections counted %s, %v", processes*rounds, got, err)
	}
}

// TestACrashFreesTheLeaseAtOnce: the lease of the killed process has a minute
// to go.
func TestACrashFreesTheLeaseAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := process(t, "hold", dir)
	b := open(t, dir)
	var c claims
	r := c.request("k")
	if reply, err := b.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Held || reply.FreeIn < time.Second {
		t.Fatalf("beside a living holder: %+v, %v", reply, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := await(b, r, longEnough); err != nil {
		t.Fatal(err)
	}
}

// TestAChildKeepsNoSessionAliveByAccident: the child outlives its parent's
// session, and inherits nothing.
func TestAChildKeepsNoSessionAliveByAccident(t *testing.T) { // not beside others, whose children have copies of all that is open until they run
	dir := t.TempDir()
	holder, other := open(t, dir), open(t, dir)
	sleeper(t)
	var c, d claims
	take(t, holder, c.request("k"))
	// As the kernel does it when a process is gone: our descriptor is closed,
	// and the lock is dropped only if nobody has a copy.
	vanish(t, holder)
	take(t, other, d.request("k"))
}

// TestAChildKeepsASessionAliveOnPurpose: what SessionFile is for.
func TestAChildKeepsASessionAliveOnPurpose(t *testing.T) { // not beside others, whose children have copies of all that is open until they run
	dir := t.TempDir()
	holder, other := open(t, dir), open(t, dir)
	guard := sleeper(t, holder.SessionFile())
	var c, d claims
	take(t, holder, c.request("k"))
	vanish(t, holder)
	r := d.request("k")
	if reply, err := other.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("while the guard lives: %v, %v", reply.Outcome, err)
	}
	if err := guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := await(other, r, longEnough); err != nil {
		t.Error(err)
	}
}

// sleeper is a child that does nothing until it is killed.
func sleeper(t *testing.T, files ...*os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.ExtraFiles = files
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// vanish drops what this process has open of its session the way its death would:
// without an unlock. The numbers are filled with other files, so that the backend's
// own Close finds something to close.
func vanish(t *testing.T, b *Backend) {
	t.Helper()
	for fd, path := range map[int]string{b.session.fd: os.DevNull, b.dir.fd: b.dir.path} {
		other, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := replace(other, fd); err != nil {
			t.Fatal(err)
		}
		unix.Close(other)
	}
}

// TestAStoppedProcessBlocksNobodyForGood: it has the record's flock and does
// not run; the others' calls end with their contexts, and the key can still
// be inspected.
func TestAStoppedProcessBlocksNobodyForGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stopped := process(t, "lock record", dir)
	if err := stopped.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir)
	var c claims
	r := c.request("k")
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	reply, err := b.Acquire(ctx, r) // would wait for the record otherwise
	if reply.Outcome != backends.NotRun || err == nil || ctx.Err() == nil {
		t.Errorf("%v, %v", reply.Outcome, err)
	}
	if _, err := b.Acquire(t.Context(), r); err == nil || !strings.Contains(err.Error(), recordName("k")) {
		t.Errorf("without a deadline: %v", err)
	}
	if info, err := b.Inspect(t.Context(), "k"); err != nil || info.Held {
		t.Errorf("inspect: held %t, %v", info.Held, err)
	}
	if err := stopped.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := await(b, r, longEnough); err != nil {
		t.Errorf("after the stopped process was killed: %v", err)
	}
}
