//go:build linux || darwin

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/turnstile-go/turnstile/cmd/turnstile/internal/guard"
)

// A child is the command: the leader of a process group of its own. It is a job.
type child struct {
	pid     int // and the group's number
	ended   chan struct{}
	stopped chan syscall.Signal

	mu     sync.Mutex // protects what follows, and keeps signals and reaping apart
	reaped bool
	status syscall.WaitStatus
}

var _ job = (*child)(nil)

// startChild starts the command with our stdin, stdout and stderr themselves, not
// with pipes that somebody would have to copy. It returns when the command was
// exec'd, or could not be.
func startChild(path string, argv, env []string, foreground bool) (*child, error) {
	c := &child{ended: make(chan struct{}), stopped: make(chan syscall.Signal, 1)}
	started := make(chan error)
	go func() { // ends with the command
		// The parent-death signal is sent when the *thread* that forked ends, so this
		// one is kept until the command has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		attr := &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}, Sys: attributes(foreground)}
		pid, err := syscall.ForkExec(path, argv, attr)
		if err == syscall.ENOEXEC {
			argv = asScript(path, argv)
			pid, err = syscall.ForkExec(argv[0], argv, attr)
		}
		c.pid = pid
		started <- err
		if err == nil { // the caller has its answer; from here on the channels tell
			c.watch()
		}
	}()
	return c, <-started
}

// watch follows the command to its end.
func (c *child) watch() {
	for {
		status, reaped, err := await(c.pid)
		if err != nil {
			panic(fmt.Sprintf("turnstile: the command can't be waited for: %v", err)) // the guard ends its group
		}
		if reaped && status.Stopped() {
			select {
			case c.stopped <- status.StopSignal():
			default: // one that nobody has looked at yet is as good
			}
			continue
		}
		c.mu.Lock()
		c.reaped, c.status = reaped, status
		c.mu.Unlock()
		close(c.ended)
		return
	}
}

// Signal signals the whole group, and the command itself wherever it is. Until it is reaped, even a dead leader keeps the
// group's number from being given to somebody else's process.
func (c *child) Signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped || guard.Running(c.pid) {
		_ = syscall.Kill(-c.pid, sig) // the group may be gone, or be another user's by now (setuid)
	}
	// The command may have joined another group. Its group is looked up first, since
	// a command that gets a signal twice takes it for two.
	if group, err := syscall.Getpgid(c.pid); !c.reaped && err == nil && group != c.pid {
		_ = syscall.Kill(c.pid, sig)
	}
}

// Ended is closed when the command itself has ended.
func (c *child) Ended() <-chan struct{} { return c.ended }

// Stopped delivers the signal when the command was stopped.
func (c *child) Stopped() <-chan syscall.Signal { return c.stopped }

// Running reports whether any process of the group still runs.
func (c *child) Running() bool { return guard.Running(c.pid) }

// reap takes the command's exit status, after it has ended.
func (c *child) reap() syscall.WaitStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.reaped {
		// It does not block: the command has ended.
		_, err := syscall.Wait4(c.pid, &c.status, 0, nil)
		c.reaped = err != syscall.EINTR
	}
	return c.status
}

// exitCode is the command's exit code as a shell would tell it.
func exitCode(status syscall.WaitStatus) int {
	// A stopped status never comes here: watch only ends with the command.
	if status.Signaled() {
		return exitSignal + int(status.Signal())
	}
	return status.ExitStatus()
}

// childEnv is our environment with the hold's key and fence, which replace those
// of a turnstile further out.
func childEnv(h hold) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TURNSTILE_KEY=") && !strings.HasPrefix(v, "TURNSTILE_FENCE=") {
			env = append(env, v)
		}
	}
	marks := marks(h)
	return append(env, marks[:]...)
}

// marks are what tells a command's environment from every other one's.
func marks(h hold) [2]string {
	return [2]string{"TURNSTILE_KEY=" + h.Key(), "TURNSTILE_FENCE=" + strconv.FormatUint(h.Fence(), 10)}
}
