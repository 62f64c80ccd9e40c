//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	expires = 30 * time.Second
	grace   = 5 * time.Second
	margin  = 500 * time.Millisecond
)

// A fakeHold is a hold whose deadline the test moves.
type fakeHold struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex // protects deadline
	deadline time.Time
}

func (h *fakeHold) Key() string              { return "k" }
func (h *fakeHold) Fence() uint64            { return 1 }
func (h *fakeHold) Context() context.Context { return h.ctx }
func (h *fakeHold) Release() error           { return nil }

func (h *fakeHold) Deadline() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deadline
}

func (h *fakeHold) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = time.Now().Add(expires)
}

// suspend brings the deadline nearer, as a suspend of the machine does: no timer
// notices.
func (h *fakeHold) suspend(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = h.deadline.Add(-d)
}

// A fakeJob is a command that ends some time after TERM, or only by KILL.
type fakeJob struct {
	begin   time.Time
	ended   chan struct{}
	stopped chan syscall.Signal
	obeys   time.Duration // from TERM to its end; 0: it ignores TERM
	leaves  time.Duration // how long others of its group run on after its end

	mu   sync.Mutex // protects what follows
	log  []event
	over time.Time // of the command
}

// An event is a signal, and how long after the test's begin the job got it.
type event struct {
	at  time.Duration
	sig syscall.Signal
}

func (j *fakeJob) Ended() <-chan struct{}         { return j.ended }
func (j *fakeJob) Stopped() <-chan syscall.Signal { return j.stopped }

func (j *fakeJob) Running() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	killed := slices.ContainsFunc(j.log, func(e event) bool { return e.sig == syscall.SIGKILL })
	return j.over.IsZero() || !killed && time.Since(j.over) < j.leaves
}

func (j *fakeJob) Signal(sig syscall.Signal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log = append(j.log, event{time.Since(j.begin), sig})
	switch {
	case sig == syscall.SIGKILL:
		j.endLocked()
	case sig == syscall.SIGTERM && j.obeys > 0:
		time.AfterFunc(j.obeys, j.end)
	}
}

func (j *fakeJob) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endLocked()
}

func (j *fakeJob) endLocked() {
	if j.over.IsZero() {
		j.over = time.Now()
		close(j.ended)
	}
}

// A fakeTTY counts, and runs what the test does while turnstile is stopped.
type fakeTTY struct {
	lends     bool
	has       bool // the command has it
	lent      int
	meanwhile func()
}

func (f *fakeTTY) Lend() bool {
	f.lent++
	return f.has
}

func (f *fakeTTY) Lends() bool { return f.lends }
func (f *fakeTTY) StopSelf() {
	if f.meanwhile != nil {
		f.meanwhile()
	}
}

// A scene is a supervisor with its fakes, at time 0 of a hold that was just granted.
type scene struct {
	*supervisor
	hold    *fakeHold
	job     *fakeJob
	tty     *fakeTTY
	signals chan os.Signal
}

func newScene() *scene {
	s := &scene{
		hold:    &fakeHold{deadline: time.Now().Add(expires)},
		job:     &fakeJob{begin: time.Now(), ended: make(chan struct{}), stopped: make(chan syscall.Signal, 1)},
		tty:     &fakeTTY{},
		signals: make(chan os.Signal, 16),
	}
	s.hold.ctx, s.hold.cancel = context.WithCancelCause(context.Background())
	s.supervisor = &supervisor{
		hold: s.hold, job: s.job, grace: grace, margin: margin, signals: s.signals, tty: s.tty,
		log: slog.New(slog.DiscardHandler), now: time.Now,
	}
	return s
}

// after does something at a time of the scene.
func (s *scene) after(d time.Duration, f func()) { time.AfterFunc(d, f) }

// check runs the supervisor and compares what it returned, when, and the signals.
func (s *scene) check(t *testing.T, lost error, end time.Duration, want ...event) {
	t.Helper()
	if err := s.run(); !errors.Is(err, lost) {
		t.Errorf("run: %v, want %v", err, lost)
	}
	if took := time.Since(s.job.begin); took != end {
		t.Errorf("returned after %v, want %v", took, end)
	}
	if !slices.Equal(s.job.log, want) {
		t.Errorf("signals %v, want %v", s.job.log, want)
	}
}

const (
	leave = expires - grace - margin // when a hold that is not renewed is left
	kill  = expires - margin
)

func TestACommandThatEndsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.after(7*time.Second, s.job.end)
		s.check(t, nil, 7*time.Second)
	})
}

func TestARenewedHoldLastsAsLongAsTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		stop := make(chan struct{})
		go func() { // ends with stop
			tick := time.NewTicker(expires * 2 / 3)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					s.hold.renew()
				case <-stop:
					return
				}
			}
		}()
		s.after(time.Hour+time.Second, s.job.end)
		s.check(t, nil, time.Hour+time.Second)
		close(stop)
	})
}

func TestAHoldThatIsNotRenewedEndsTheCommandBeforeTheDeadline(t *testing.T) {
	term := []event{{leave, syscall.SIGTERM}, {leave, syscall.SIGCONT}}
	for name, c := range map[string]struct {
		obeys, leaves time.Duration
		end           time.Duration
		want          []event
	}{
		"it obeys TERM":           {obeys: time.Second, end: leave + time.Second, want: term},
		"it ignores TERM":         {end: kill, want: append(term[:2:2], event{kill, syscall.SIGKILL})},
		"its group runs on":       {obeys: time.Second, leaves: 2 * time.Second, end: leave + 3*time.Second, want: term},
		"its group has to be met": {obeys: time.Second, leaves: time.Hour, end: kill, want: append(term[:2:2], event{kill, syscall.SIGKILL})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene()
				s.job.obeys, s.job.leaves = c.obeys, c.leaves
				s.check(t, errNotRenewed, c.end, c.want...)
			})
		})
	}
}

func TestARenewalAfterTERMChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.after(leave+time.Second, s.hold.renew)
		s.check(t, errNotRenewed, kill,
			event{leave, syscall.SIGTERM}, event{leave, syscall.SIGCONT}, event{kill, syscall.SIGKILL})
	})
}

func TestAHoldThatIsTakenAwayEndsTheCommandAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.after(time.Second, func() { s.hold.cancel(lockclient.ErrLost) })
		s.check(t, lockclient.ErrLost, time.Second+grace,
			event{time.Second, syscall.SIGTERM}, event{time.Second, syscall.SIGCONT},
			event{time.Second + grace, syscall.SIGKILL})
	})
}

// Stopped, turnstile would see to nothing: neither to KILL, nor to the release.
func TestCtrlZInTheGraceHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.tty.lends = true
		s.tty.meanwhile = func() { t.Error("turnstile stopped itself") }
		s.after(time.Second, func() { s.hold.cancel(lockclient.ErrLost) })
		s.after(2*time.Second, func() { s.job.stopped <- syscall.SIGTSTP })
		s.check(t, lockclient.ErrLost, time.Second+grace,
			event{time.Second, syscall.SIGTERM}, event{time.Second, syscall.SIGCONT},
			event{2 * time.Second, syscall.SIGCONT}, event{time.Second + grace, syscall.SIGKILL})
	})
}

func TestAHoldThatIsTakenAwayLateStillEndsTheCommandBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const at = leave - time.Millisecond
		s := newScene()
		s.after(at, func() { s.hold.cancel(lockclient.ErrLost) })
		s.check(t, lockclient.ErrLost, at+grace,
			event{at, syscall.SIGTERM}, event{at, syscall.SIGCONT}, event{at + grace, syscall.SIGKILL})
	})
}

// A process that was stopped, or a machine that was suspended, finds out late.
// There is nothing left to be gentle with: the next holder may be there.
func TestWhoFindsOutLateKillsAtOnce(t *testing.T) {
	for name, late := range map[string]time.Duration{
		"just before the deadline": expires - time.Millisecond,
		"long after it":            time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene()
				s.after(500*time.Millisecond, func() { s.hold.suspend(late - time.Second) })
				lost := errNotRenewed
				if late > expires {
					lost = lockclient.ErrExpired
				}
				s.check(t, lost, time.Second, event{time.Second, syscall.SIGTERM},
					event{time.Second, syscall.SIGKILL}, event{time.Second, syscall.SIGCONT})
			})
		})
	}
}

func TestACommandThatEndsAsItsHoldIsLostHasLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.hold.cancel(lockclient.ErrLost)
		s.job.end()
		s.check(t, lockclient.ErrLost, 0, event{0, syscall.SIGTERM}, event{0, syscall.SIGCONT})
	})
}

func TestSignalsAreForwardedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		want := []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1, syscall.SIGINT}
		var events []event
		for _, sig := range want {
			s.signals <- sig
			events = append(events, event{0, sig})
		}
		s.after(time.Second, s.job.end)
		s.check(t, nil, time.Second, events...)
	})
}

// timeout(1) signals turnstile twice: as its child, and as one of its group.
func TestAnotherINTOrTERMKillsUnlessItIsTheFirstOnceMore(t *testing.T) {
	const late, early = 300 * time.Millisecond, 300*time.Millisecond - 1
	for name, row := range map[string]struct {
		after time.Duration // from an INT to sig
		sig   syscall.Signal
		want  []event // of the command, after its INT
	}{
		"the same at once":           {0, syscall.SIGINT, nil},
		"the same a moment later":    {early, syscall.SIGINT, nil},
		"another a moment later":     {early, syscall.SIGTERM, []event{{early, syscall.SIGTERM}}},
		"the same, of somebody else": {late, syscall.SIGINT, []event{{late, syscall.SIGKILL}}},
		"another, of somebody else":  {late, syscall.SIGTERM, []event{{late, syscall.SIGKILL}}},
		"long after the grace":       {time.Hour, syscall.SIGINT, []event{{time.Hour, syscall.SIGKILL}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene()
				s.hold.deadline = time.Now().Add(2 * time.Hour)
				s.signals <- syscall.SIGINT
				s.after(row.after, func() { s.signals <- row.sig })
				end := row.after
				if !slices.ContainsFunc(row.want, func(e event) bool { return e.sig == syscall.SIGKILL }) {
					end += time.Second
					s.after(end, s.job.end)
				}
				s.check(t, nil, end, append([]event{{0, syscall.SIGINT}}, row.want...)...)
			})
		})
	}
}

func TestCtrlZStopsBothAndFgContinuesTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.tty.lends = true
		s.tty.meanwhile = func() { time.Sleep(10 * time.Second) } // as long as we are stopped
		s.after(time.Second, func() { s.job.stopped <- syscall.SIGTSTP })
		s.after(12*time.Second, s.job.end)
		s.check(t, nil, 12*time.Second, event{time.Second, syscall.SIGSTOP}, event{11 * time.Second, syscall.SIGCONT})
		if s.tty.lent == 0 {
			t.Error("the command did not get the terminal back")
		}
	})
}

func TestAHoldThatEndedMeanwhileIsNoticedBeforeTheCommandGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.signals <- syscall.SIGTSTP // a terminal that was not lent: the signal is ours
		s.after(time.Second, func() { s.job.stopped <- syscall.SIGTSTP })
		s.tty.meanwhile = func() { time.Sleep(expires) }
		at := time.Second + expires
		s.check(t, lockclient.ErrExpired, at, event{0, syscall.SIGTSTP}, event{time.Second, syscall.SIGSTOP},
			event{at, syscall.SIGTERM}, event{at, syscall.SIGKILL}, event{at, syscall.SIGCONT})
	})
}

func TestACommandThatSomebodyElseStoppedStaysStopped(t *testing.T) {
	for _, lends := range []bool{false, true} { // no terminal, or one that it could have
		synctest.Test(t, func(t *testing.T) {
			s := newScene()
			s.tty.lends = lends
			s.job.stopped <- syscall.SIGSTOP
			s.tty.meanwhile = func() { t.Error("turnstile stopped itself") }
			s.after(time.Second, s.job.end)
			s.check(t, nil, time.Second)
		})
	}
}

// A shell's fg of a job that runs moves the foreground and sends no signal.
func TestACommandThatIsStoppedForTheTerminalGetsItAfterFg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.tty.lends, s.tty.has = true, true
		s.tty.meanwhile = func() { t.Error("turnstile stopped itself") }
		s.job.stopped <- syscall.SIGTTIN
		s.after(time.Second, s.job.end)
		s.check(t, nil, time.Second, event{0, syscall.SIGCONT})
	})
}

// Stopped by its first read from a terminal that it was not lent, a command could
// not act on Ctrl-C.
func TestACommandThatWantsTheTerminalCanBeInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.job.stopped <- syscall.SIGTTIN
		s.after(time.Second, func() { s.signals <- syscall.SIGINT })
		s.after(2*time.Second, s.job.end)
		s.check(t, nil, 2*time.Second, event{time.Second, syscall.SIGINT}, event{time.Second, syscall.SIGCONT})
	})
}
