//go:build linux || darwin

package guard

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// name is the guard's own, in place of turnstile's: a kill by turnstile's name
	// (killall -9 turnstile, pkill -9 -f turnstile) must not hit the guard.
	name      = "lock-guard"
	dismissal = "dismissed"
	// guardPoll is the time until the guard first checks whether a killed group is
	// gone; seldomPoll is the longest interval between checks.
	guardPoll  = 2 * time.Millisecond
	seldomPoll = time.Second
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
// A guard that ends before its time, killed alone or for want of memory, is
// replaced: see keep.
type Guard struct {
	session *os.File
	log     *slog.Logger
	quit    chan struct{} // closed, under mu, when no further guard is wanted
	over    chan struct{} // closed when no guard is left, nor will be

	making sync.Mutex // protects pids, and is held while a guard is made, so that each is known
	pids   []int      // of the guards not yet waited for

	mu   sync.Mutex // protects what follows; nothing that may take long is done under it
	now  *process
	told []string
}

// A process is one guard.
type process struct {
	cmd  *exec.Cmd
	pipe *os.File
}

const (
	// mostGuards is how many guards a command may lose in a row, each before it was
	// steady. Whoever kills more of them means it, or the machine can't keep any.
	mostGuards = 4
	steady     = time.Minute
	// breath is added between one loss in a row and the next guard.
	breath = 250 * time.Millisecond
)

// Start starts a guard; session is the descriptor that a file:// session is
// locked through, or nil. It returns as soon as the process exists: what it has to
// know waits in the pipe.
func Start(session *os.File, log *slog.Logger) (*Guard, error) {
	g := &Guard{session: session, log: log, quit: make(chan struct{}), over: make(chan struct{})}
	first, err := g.start(nil)
	if err != nil {
		return nil, err
	}
	g.now = first
	go g.keep(first) // ends when the guard has, once it was dismissed; or when there can be none
	return g, nil
}

// start starts a process that is told the words before it exists, so that there is
// no moment in which it knows less than the one before it.
func (g *Guard) start(words []string) (*process, error) {
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("no guard: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("no guard: %w", err)
	}
	defer r.Close()
	p := &process{cmd: exec.Command(self, Arg), pipe: w}
	for _, word := range words {
		p.write(word) // far less than a pipe holds
	}
	p.cmd.Args[0] = name
	p.cmd.Env = runtimeEnv() // no secrets where nobody needs them
	p.cmd.Dir = "/"          // it must not keep a file system from being unmounted
	p.cmd.Stdin = r
	if g.session != nil {
		p.cmd.ExtraFiles = []*os.File{g.session}
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	g.making.Lock()
	defer g.making.Unlock()
	if err := p.cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("no guard: %w", err)
	}
	g.pids = append(g.pids, p.cmd.Process.Pid)
	return p, nil
}

// Spare calls reap for a child of turnstile that has ended, unless the child is a
// guard: this package waits for its guards itself. It reports whether it called
// reap.
func (g *Guard) Spare(pid int, reap func()) bool {
	if g != nil {
		g.making.Lock()
		defer g.making.Unlock()
		if slices.Contains(g.pids, pid) {
			return false
		}
	}
	reap()
	return true
}

// await waits for a guard's end.
func (g *Guard) await(p *process) error {
	how := p.cmd.Wait()
	g.making.Lock()
	defer g.making.Unlock()
	g.pids = slices.DeleteFunc(g.pids, func(pid int) bool { return pid == p.cmd.Process.Pid })
	return how
}

func (p *process) write(word string) {
	_, _ = io.WriteString(p.pipe, word+"\x00") // one that is gone is replaced, and told again
}

// end ends a process without a deed of its own.
func (p *process) end() {
	p.write(dismissal)
	p.pipe.Close()
	// The word was for the case that we are killed before this: under a short
	// command the guard may not have started yet, and need not any more.
	_ = p.cmd.Process.Kill()
}

// keep waits for the guard to end, and replaces one that ended before its time. One
// that can't be started is as good as lost.
func (g *Guard) keep(p *process) {
	defer close(g.over)
	began, lost := time.Now(), 0
	for {
		how := g.await(p)
		if time.Since(began) > steady {
			lost = 0
		}
		p = nil
		for cause := how; p == nil; {
			if lost++; !g.goOn(lost, cause) {
				return
			}
			began = time.Now()
			p, cause = g.replacement()
		}
		g.log.Debug("the guard ended before its time, and there is a new one", "how", how)
	}
}

// goOn reports, after a pause, whether the guard that was lost needs another. It
// does not when it was dismissed.
func (g *Guard) goOn(lost int, cause error) bool {
	if lost == mostGuards {
		if g.finish() {
			g.log.Warn("the guard is gone: the command would survive a SIGKILL of turnstile", "cause", cause)
		}
		return false
	}
	pause := time.NewTimer(time.Duration(lost-1) * breath)
	defer pause.Stop()
	select {
	case <-pause.C:
		return !g.finished() // both may be ready
	case <-g.quit:
		return false
	}
}

// replacement starts the next guard. One that comes after the dismissal is
// dismissed as well, and what remains is to wait for it.
func (g *Guard) replacement() (*process, error) {
	g.mu.Lock()
	words := slices.Clone(g.told)
	g.mu.Unlock()
	p, err := g.start(words)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, word := range g.told[len(words):] {
		p.write(word)
	}
	g.now.pipe.Close()
	g.now = p
	if g.finished() {
		p.end()
	}
	return p, nil
}

// finished is asked with mu held where the answer has to stay true.
func (g *Guard) finished() bool {
	select {
	case <-g.quit:
		return true
	default:
		return false
	}
}

// finish ends the replacing and what guard there is. It reports whether that was news.
func (g *Guard) finish() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.finished() {
		return false
	}
	close(g.quit)
	g.now.end()
	return true
}

// executable is our own file. Linux knows it by this name even if an upgrade has
// removed or replaced it since we started; another version might not understand our
// messages. A process also has the name of its file until it sets another: a guard
// that has just started is called exe.
func executable() (string, error) {
	const running = "/proc/self/exe"
	if _, err := os.Stat(running); err == nil {
		return running, nil
	}
	return os.Executable()
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
	if g != nil {
		g.finish()
	}
}

func (g *Guard) tell(word string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, word)
	g.now.write(word)
}

// Wait returns when a dismissed guard is gone.
func (g *Guard) Wait() {
	if g != nil {
		<-g.over
	}
}
