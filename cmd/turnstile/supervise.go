//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A hold is what a supervised command runs under: *lockclient.Lock, or a keySet.
type hold interface {
	Key() string
	Fence() uint64
	Deadline() time.Time
	Context() context.Context
	Release() error
}

var _ hold = (*lockclient.Lock)(nil)

// A terminal is what the command may be lent.
type terminal interface {
	// Lend gives the command's group the foreground, if turnstile has it to give, and
	// reports whether the command has it.
	Lend() bool
	// Lends reports whether the command may have the terminal.
	Lends() bool
	// StopSelf takes the terminal back and stops turnstile as the shell expects of a
	// stopped job; it returns when turnstile was continued.
	StopSelf()
}

// A job is a running command and its process group.
type job interface {
	// Signal signals the command and its whole group; one that is gone is no error.
	Signal(sig syscall.Signal)
	// Ended is closed when the command itself has ended.
	Ended() <-chan struct{}
	// Stopped delivers the signal when the command was stopped.
	Stopped() <-chan syscall.Signal
	// Running reports whether any process of the group still runs.
	Running() bool
}

const (
	// mostMargin and marginShare are how long before the deadline a command has to
	// be gone: for the kernel to end it, and for us to see it. Of a short hold it is
	// a sixth: with --kill-after's third that is half, and renewals come when two
	// thirds are left, so that one that is late is not taken for one that failed.
	mostMargin  = 500 * time.Millisecond
	marginShare = 6

	// lookAround is how often the deadline is looked at while nothing happens: timers
	// stand still while the machine is suspended, and the deadline comes nearer.
	lookAround = time.Second
	// groupPoll is how often a group is asked whether it is gone; the kernel tells
	// only of the direct child.
	groupPoll = 5 * time.Millisecond
	// burial is how long a killed group may take to be gone. What is still there
	// then is stuck in the kernel, and no waiting of ours helps.
	burial = 2 * time.Second
)

func marginFor(expires time.Duration) time.Duration { return min(mostMargin, expires/marginShare) }

// A supervisor watches one command under one hold. It is a state machine with
// three states, and never goes back:
//
//	guarded   the hold is good; signals are passed on
//	leaving   it is lost, or soon will be: the group has TERM, and KILL is set
//	killed    the group has KILL
//
// That the backend answers again after TERM changes nothing: the command was
// told to go.
type supervisor struct {
	// Set by the caller, then immutable.
	hold    hold
	job     job
	grace   time.Duration // from TERM to KILL
	margin  time.Duration // from KILL to the deadline
	until   time.Time     // when the command has run for as long as it may; zero: no limit
	signals <-chan os.Signal
	tty     terminal
	log     *slog.Logger
	now     func() time.Time

	// Owned by run.
	lost    error          // the reason why the state is no longer guarded
	killAt  time.Time      // when leaving
	killed  time.Time      // when killed
	first   syscall.Signal // the first INT or TERM that was passed on
	ending  time.Time      // when
	pausing bool           // SIGTSTP was passed on
	starved bool           // the command is stopped, for want of a terminal
}

// run returns when the command has ended and, if the hold was lost, when nothing
// of its group runs any more. The error says why the hold was lost; nil means that
// it was good up to the command's end.
func (s *supervisor) run() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	gone := s.hold.Context().Done()
	ended := s.job.Ended()
	for {
		select {
		case <-ended:
			ended = nil
		case <-gone:
			gone = nil
			s.lose(context.Cause(s.hold.Context()))
		case sig := <-s.signals:
			s.pass(sig.(syscall.Signal))
		case sig := <-s.job.Stopped():
			s.stopped(sig)
		case <-timer.C:
			s.tty.Lend() // a shell's fg comes without a word where the job was running
		}
		s.look()
		if ended == nil && s.done() {
			return s.lost
		}
		timer.Reset(s.pause(ended == nil))
	}
}

// look compares the clock with what has to happen next. It is called after every
// event, so that a process that was stopped or suspended acts before anything else.
func (s *supervisor) look() {
	now := s.now()
	if s.lost != nil {
		s.hasten()
	}
	switch {
	case s.lost == nil && reached(now, s.hold.Deadline()):
		s.lose(lockclient.ErrExpired)
	case s.lost == nil && s.hold.Context().Err() != nil:
		s.lose(context.Cause(s.hold.Context()))
	case s.lost == nil && !s.until.IsZero() && reached(now, s.until):
		s.lose(errTooLong)
	case s.lost == nil && reached(now, s.leaveAt()):
		s.lose(errNotRenewed)
	case s.lost != nil && s.killed.IsZero() && reached(now, s.killAt):
		s.kill()
	}
}

var (
	errNotRenewed = errors.New("it could not be renewed")
	errTooLong    = errors.New("the command has run for as long as --max-hold allows")
)

// leaveAt is the last moment to send TERM unless the deadline moves on.
func (s *supervisor) leaveAt() time.Time { return s.hold.Deadline().Add(-s.margin - s.grace) }

// lose begins the end of the command. KILL comes after the grace, but not so late
// that the command could outlive the hold: where less time is left, because this
// process was stopped or asleep, the command gets less, down to none.
func (s *supervisor) lose(cause error) {
	if s.lost != nil {
		return
	}
	s.lost = cause
	s.killAt = s.now().Add(s.grace)
	s.job.Signal(syscall.SIGTERM)
	s.look() // before a stopped group goes on: it may be too late for TERM
	s.job.Signal(syscall.SIGCONT)
	// Only now: no log may stand between a loss and the end of the command.
	if errors.Is(cause, errTooLong) {
		s.log.Warn("ending the command", "key", s.hold.Key(), "cause", cause)
		return
	}
	s.log.Warn("the hold is lost, ending the command", "key", s.hold.Key(), "cause", cause)
}

// hasten brings KILL forward if the hold has less time left than planned, for
// example because the machine was suspended after TERM.
func (s *supervisor) hasten() {
	if last := s.hold.Deadline().Add(-s.margin); last.Before(s.killAt) {
		s.killAt = last
	}
}

func (s *supervisor) kill() {
	s.killed = s.now()
	s.job.Signal(syscall.SIGKILL)
}

// done is asked after the command itself has ended. While the hold was good that
// is all; once it was lost, the rest of the group is waited for.
func (s *supervisor) done() bool {
	switch {
	case s.lost == nil:
		return true
	case !s.job.Running():
		return true
	case !s.killed.IsZero() && reached(s.now(), s.killed.Add(burial)):
		s.log.Warn("some of the command's processes can't be killed", "key", s.hold.Key())
		return true
	}
	return false
}

// pause is how long to sleep unless something happens.
func (s *supervisor) pause(ended bool) time.Duration {
	var d time.Duration
	switch {
	case s.lost != nil && ended:
		d = groupPoll
	case s.lost == nil:
		d = s.leaveAt().Sub(s.now())
		if !s.until.IsZero() {
			d = min(d, s.until.Sub(s.now()))
		}
	case s.killed.IsZero():
		d = s.killAt.Sub(s.now())
	default:
		d = lookAround
	}
	return min(max(d, 0), lookAround)
}

// pass forwards a signal to the group. Another INT or TERM says that the first did
// not help, unless it comes so early that it is the first one repeated.
func (s *supervisor) pass(sig syscall.Signal) {
	s.look() // as in stopped
	switch sig {
	case syscall.SIGINT, syscall.SIGTERM:
		switch {
		case s.ending.IsZero():
			s.first, s.ending = sig, s.now()
		case reached(s.now(), s.ending.Add(impatience)):
			s.kill()
			return
		case sig == s.first:
			return
		}
	case syscall.SIGTSTP:
		s.pausing = true
	case syscall.SIGCONT:
		// We were stopped and go on. If this was the shell's fg, the terminal is ours and
		// the command's to have.
		s.tty.Lend()
		return
	}
	s.job.Signal(sig)
	if s.starved { // or it could not act on the signal
		s.starved = false
		s.job.Signal(syscall.SIGCONT)
	}
}

// stopped follows a command that was stopped by Ctrl-Z, or for using the terminal
// from the background: the shell should see a stopped job. A command that somebody
// stopped by hand stays stopped, under a hold that is renewed.
func (s *supervisor) stopped(sig syscall.Signal) {
	s.look() // before anything goes on: we may have been stopped as well, for longer than the hold lasts
	wants := sig == syscall.SIGTTIN || sig == syscall.SIGTTOU
	switch {
	case s.lost != nil:
		// It was told to go, and has to be gone in time: nothing stops us from seeing
		// to that, or it from going.
		s.job.Signal(syscall.SIGCONT)
		return
	case s.pausing:
	case !s.tty.Lends():
		if wants {
			s.starved = true
			s.log.Warn("the command was stopped: it wants the terminal, and gets it only if turnstile leads the foreground job with both stdin and stdout on the terminal")
		}
		return
	case wants && s.tty.Lend(): // the shell's fg has just given it to us
		s.job.Signal(syscall.SIGCONT)
		return
	case sig == syscall.SIGSTOP && !s.tty.Lend(): // by hand, in the background
		return
	}
	s.pausing = false
	// Only the command itself is known to have stopped. What ignores Ctrl-Z, or was
	// not stopped with it, would run on under a hold that nobody renews.
	s.job.Signal(syscall.SIGSTOP)
	s.tty.StopSelf()
	s.look() // the hold may have ended meanwhile; then the group must not go on
	s.tty.Lend()
	if s.lost == nil {
		s.job.Signal(syscall.SIGCONT)
	}
}

// reached reports whether t has come, by the monotonic clock. That clock stands
// still while the machine is suspended, so the deadline of a hold has to be asked
// for again: it is nearer by the time of the suspension. The wall clock is no help:
// it may have been set.
func reached(now, t time.Time) bool { return !now.Before(t) }
