//go:build unix

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/lockclient"
)

// workerEnv holds the spec of a worker process, which is this binary again.
const workerEnv = "TURNSTILE_FAULTS_WORKER"

// A spec is what a worker does, from the line "begin" on its stdin to the line
// "stop", or to the end of stdin: so it never outlives its parent.
type spec struct {
	URL, Key, Ledger string
	Goroutines       int
	Section          time.Duration // how long a hold lasts; 0: released at once
	Pause            time.Duration // between a hold and the next acquire
	Expires          time.Duration
	Rounds           int  // of each goroutine; 0: until stopped
	Claim            bool // renew each hold and keep it until it is lost; see claimOn
	Mixed            bool // holds of all kinds, at random
	Only             backends.Kind
	N                int // of Slots
}

// A worker is a process under test.
type worker struct {
	spec
	ledger *ledger
	killed int64 // when, 0 if it wasn't

	t       *testing.T
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
	reaped  bool
}

// start starts a worker and returns when it is connected.
func start(t *testing.T, s spec) *worker {
	t.Helper()
	s.Ledger = filepath.Join(t.TempDir(), "ledger")
	w := &worker{spec: s, t: t}
	err := createLedger(s.Ledger)
	if err == nil {
		var unmap func()
		if w.ledger, unmap, err = openLedger(s.Ledger); err == nil {
			t.Cleanup(unmap)
		}
	}
	if err == nil {
		err = w.run()
	}
	if err != nil {
		t.Fatalf("worker: %v", err)
	}
	t.Cleanup(w.kill)
	w.hear("ready")
	return w
}

func (w *worker) run() error {
	// The same binary: its code is in the page cache, and its version is ours.
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(w.spec)
	if err != nil {
		return err
	}
	w.cmd = exec.Command(binary)
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	w.cmd.Stderr = os.Stderr
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	w.answers = bufio.NewScanner(stdout)
	return w.cmd.Start()
}

func (w *worker) say(line string) {
	w.t.Helper()
	if _, err := io.WriteString(w.stdin, line+"\n"); err != nil {
		w.t.Errorf("worker: %v", err)
	}
}

func (w *worker) hear(want string) {
	w.t.Helper()
	if !w.answers.Scan() || w.answers.Text() != want {
		w.t.Fatalf("worker: said %q, want %q", w.answers.Text(), want)
	}
}

// finish waits until a stopped worker has given everything back.
func (w *worker) finish() {
	w.t.Helper()
	w.hear("done")
	_ = w.stdin.Close()
	w.reaped = true
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("worker: %v", err)
	}
}

// kill ends it with SIGKILL, if it has not ended. What it claims after this
// moment is not known.
func (w *worker) kill() {
	if w.reaped {
		return
	}
	w.reaped, w.killed = true, stamp()
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // "signal: killed"
	_ = w.stdin.Close()
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatalf("worker: %v", err)
	}
}

// entries are the worker's claims, as those of process n.
func (w *worker) entries(n int) []entry { return w.ledger.entries(n, w.killed, w.Expires) }

// work is the whole life of a worker process.
func work(text string, stdin io.Reader, stdout io.Writer) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	l, _, err := openLedger(s.Ledger)
	if err != nil {
		return err
	}
	c, err := lockclient.Open(lockclient.Config{Backend: s.URL, Expires: s.Expires})
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "ready")
	lines := bufio.NewScanner(stdin)
	if !lines.Scan() {
		return errors.Join(errors.New("the parent is gone"), c.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	failures := make(chan error, s.Goroutines)
	var wg sync.WaitGroup
	for range s.Goroutines {
		wg.Go(func() { failures <- s.loop(ctx, c, l) })
	}
	lines.Scan() // stop, or the parent's end
	cancel()
	wg.Wait()
	close(failures)
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	if err = errors.Join(err, c.Close()); err == nil {
		fmt.Fprintln(stdout, "done")
	}
	return err
}

// loop takes the key again and again until ctx ends.
func (s spec) loop(ctx context.Context, c *lockclient.Client, l *ledger) error {
	var opts []lockclient.Option
	if s.Claim {
		opts = append(opts, lockclient.Renew())
	}
	for round := 0; ctx.Err() == nil && (s.Rounds == 0 || round < s.Rounds); round++ {
		kind, opts := kindOf{s.Only, s.N}, opts
		if s.Mixed {
			kind = anyKind()
		}
		opts = append(kind.options(), opts...)
		asked := stamp()
		lock, err := c.Acquire(ctx, s.Key, opts...)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return fmt.Errorf("acquire: %w", err)
		}
		claim, err := l.openOf(asked, lock.Fence(), kind)
		if err != nil {
			return err
		}
		if s.Claim {
			claimOn(ctx, lock, claim)
		} else {
			if !s.Mixed || rand.N(8) == 0 { // sleeps are long, and overlaps show without them, too
				rest(ctx, s.Section)
			}
			s.endClaim(lock, claim)
		}
		// Another may have it by now, if this process was kept from running.
		if err := lock.Release(); err != nil && !errors.Is(err, lockclient.ErrNotHeld) {
			return fmt.Errorf("release: %w", err)
		}
		rest(ctx, s.Pause)
	}
	return nil
}

// endClaim ends a claim now, or at the hold's deadline if that has passed: a hold is
// over then, even one that this process had no time to note before.
func (s spec) endClaim(lock *lockclient.Lock, c *claim) {
	now := stamp()
	if time.Duration(now-c.asked.Load()) >= s.Expires/2 { // a younger hold is not checked: that would cost more than the hold
		now = notAfterDeadline(lock, now)
		c.granted.Store(min(c.granted.Load(), now))
	}
	c.ended.Store(now)
}

// claimOn keeps a hold until it is lost. It claims every moment of which it
// asked, afterwards, whether it still had the key: whoever is stopped in
// between and believes the answer makes the claim overlap another's.
func claimOn(ctx context.Context, lock *lockclient.Lock, c *claim) {
	c.ended.Store(c.granted.Load())
	for ctx.Err() == nil {
		now := stamp()
		if lock.Context().Err() != nil {
			return
		}
		c.ended.Store(now)
		rest(ctx, time.Millisecond)
	}
}

func rest(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
