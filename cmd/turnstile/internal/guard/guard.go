//go:build linux || darwin

package guard

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	dismissal = "dismissed"
	// guardPoll is how often the guard looks whether a killed group is gone.
	guardPoll = 2 * time.Millisecond
)

// A Guard is turnstile's side of its guard, which holds the reading end of a pipe:
// that the pipe ends without a dismissal says that turnstile is gone. Then it kills
// the command's group, and ends when the group has: with it goes the last
// descriptor of a file:// session, and only so the key is free.
//
// The pipe's end comes at once and from the kernel, where a parent-death signal
// reaches the direct child alone. The guard is a session of its own, since what
// kills turnstile may kill its whole group.
type Guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// Start starts a guard; session is the descriptor that a file:// session is
// locked through, or nil. It returns as soon as the process exists: what it has to
// know waits in the pipe.
func Start(session *os.File) (*Guard, error) {
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("no guard: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no guard: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, Arg)
	cmd.Args[0] = os.Args[0]
	cmd.Env = runtimeEnv() // no secrets where nobody needs them
	cmd.Dir = "/"          // it must not keep a file system from being unmounted
	cmd.Stdin = r
	if session != nil {
		cmd.ExtraFiles = []*os.File{session}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("no guard: %w", err)
	}
	return &Guard{cmd: cmd, pipe: w}, nil
}

// executable is our own file. An upgrade may have replaced it while we waited for
// the key; Linux still knows the one that we are.
func executable() (string, error) {
	self, err := os.Executable()
	if _, gone := os.Stat(self); err == nil && gone != nil {
		const running = "/proc/self/exe"
		if _, err := os.Stat(running); err == nil {
			return running, nil
		}
	}
	return self, err
}

// runtimeEnv is the part of the environment that Go's runtime reads.
func runtimeEnv() []string {
	env := []string{} // not nil, which would mean all of it
	for _, name := range []string{"GODEBUG", "GORACE", "GOCOVERDIR", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// What a guard is told comes as NUL-terminated words, in this order: two marks, the
// group, the dismissal. It may end after any of them.

// Cover tells the guard, before the command is started, the two marks that its
// environment will be known by: turnstile may be killed after the command began to
// run and before Watch, a moment that a busy machine makes long (a test met it).
func (g *Guard) Cover(marks [2]string) {
	for _, mark := range marks {
		g.tell(mark)
	}
}

// Watch names the group to kill.
func (g *Guard) Watch(group int) { g.tell(strconv.Itoa(group)) }

// Dismiss says that nothing is left to kill. It comes before the command is
// reaped, while the group's number is still its own.
func (g *Guard) Dismiss() {
	g.tell(dismissal)
	if g != nil {
		g.pipe.Close()
		// The word was for the case that we are killed before this: under a short
		// command the guard may not have started yet, and need not any more.
		_ = g.cmd.Process.Kill()
	}
}

func (g *Guard) tell(word string) {
	if g != nil {
		_, _ = io.WriteString(g.pipe, word+"\x00") // a guard that is gone can't be helped
	}
}

// Wait returns when a dismissed guard is gone. Nobody else may be there to reap it.
func (g *Guard) Wait() {
	if g != nil {
		_ = g.cmd.Wait() // it has nothing to tell
	}
}

// init is the guard's start.
func init() {
	if len(os.Args) == 2 && os.Args[1] == Arg {
		stand()
		os.Exit(0)
	}
}

// stand is the guard's side: it returns when nothing is left to be done.
func stand() {
	// A pkill by name means turnstile, which knows what to do; not its guard.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	told, _ := io.ReadAll(os.Stdin) // what came before an error counts
	words := strings.Split(strings.TrimSuffix(string(told), "\x00"), "\x00")
	var group int
	switch len(words) {
	case 2:
		// Somebody who starts a guard by hand may tell it anything.
		if strings.HasPrefix(words[0], "TURNSTILE_") && strings.HasPrefix(words[1], "TURNSTILE_") {
			group = marked(words)
		}
	case 3:
		group, _ = strconv.Atoi(words[2])
	}
	if group <= 1 { // dismissed, or nothing was started; and never 0, which would be our own
		return
	}
	// KILL again and again: a process may have joined the group in between.
	for Running(group) {
		_ = syscall.Kill(-group, syscall.SIGKILL)
		time.Sleep(guardPoll)
	}
}
