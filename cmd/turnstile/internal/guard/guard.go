//go:build linux || darwin

package guard

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
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
//
// A guard that is killed alone is replaced: the next one is told what it was.
type Guard struct {
	session *os.File
	log     *slog.Logger
	over    chan struct{} // closed when no guard is left, nor will be

	mu        sync.Mutex // protects what follows
	cmd       *exec.Cmd
	pipe      *os.File
	told      []string
	dismissed bool
}

// mostGuards is how many guards a command may have in a row. Whoever kills more of
// them means it, or the machine can't keep any.
const mostGuards = 4

// Start starts a guard; session is the descriptor that a file:// session is
// locked through, or nil. It returns as soon as the process exists: what it has to
// know waits in the pipe.
func Start(session *os.File, log *slog.Logger) (*Guard, error) {
	g := &Guard{session: session, log: log, over: make(chan struct{})}
	if err := g.start(); err != nil {
		return nil, err
	}
	go g.keep() // ends with the guard, once it was dismissed
	return g, nil
}

// start starts the process; mu is held, or nobody knows g yet.
func (g *Guard) start() error {
	self, err := executable()
	if err != nil {
		return fmt.Errorf("no guard: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("no guard: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, Arg)
	cmd.Args[0] = os.Args[0]
	cmd.Env = runtimeEnv() // no secrets where nobody needs them
	cmd.Dir = "/"          // it must not keep a file system from being unmounted
	cmd.Stdin = r
	if g.session != nil {
		cmd.ExtraFiles = []*os.File{g.session}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return fmt.Errorf("no guard: %w", err)
	}
	g.cmd, g.pipe = cmd, w
	return nil
}

// keep waits for the guard to end, and replaces one that ended before its time.
func (g *Guard) keep() {
	defer close(g.over)
	for n := 1; ; n++ {
		_ = g.cmd.Wait() // it has nothing to tell
		if !g.replace(n < mostGuards) {
			return
		}
	}
}

// replace reports whether there is a new guard to wait for.
func (g *Guard) replace(allowed bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dismissed {
		return false
	}
	g.pipe.Close()
	err := errors.New("it was killed again and again")
	if allowed {
		err = g.start()
	}
	if err != nil {
		g.dismissed = true // there is nobody to tell
		g.log.Warn("the guard is gone: the command would survive a SIGKILL of turnstile", "cause", err)
		return false
	}
	for _, word := range g.told {
		g.write(word)
	}
	g.log.Debug("the guard was killed, and there is a new one")
	return true
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
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dismissed {
		return
	}
	g.dismissed = true
	g.write(dismissal)
	g.pipe.Close()
	// The word was for the case that we are killed before this: under a short
	// command the guard may not have started yet, and need not any more.
	_ = g.cmd.Process.Kill()
}

func (g *Guard) tell(word string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.dismissed {
		g.told = append(g.told, word)
		g.write(word)
	}
}

// write is for whoever holds mu.
func (g *Guard) write(word string) {
	_, _ = io.WriteString(g.pipe, word+"\x00") // one that is gone is replaced, and told again
}

// Wait returns when a dismissed guard is gone.
func (g *Guard) Wait() {
	if g != nil {
		<-g.over
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
