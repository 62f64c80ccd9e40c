//go:build linux || darwin

package main

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/turnstile-go/turnstile/lockclient"
)

// An NTP client, or somebody, sets the clock while the command runs. The hold has
// lost no time by it.
func TestAWallClockThatIsSetEndsNoCommand(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": time.Hour, "far forward": 240 * time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newScene() // in real time: in a bubble of synctest no time has a monotonic reading
			s.hold.deadline = time.Now().Add(time.Hour)
			now := time.Now()
			s.now = func() time.Time { return set(now, step) }
			if d := s.now().Round(0).Sub(now.Round(0)); s.now().Sub(now) != 0 || d != step {
				t.Fatalf("a clock that was set by %v, want %v", d, step)
			}
			s.look()
			if s.lost != nil || len(s.job.log) > 0 {
				t.Errorf("lost: %v, signals %v", s.lost, s.job.log)
			}
		})
	}
}

// set returns t as read from a wall clock that was set by a multiple of a second;
// its monotonic reading is unchanged. Package time makes no such value; only a clock
// does.
func set(t time.Time, by time.Duration) time.Time {
	const nanoseconds = 30 // bits of the first word, below the seconds
	*(*int64)(unsafe.Pointer(&t)) += int64(by/time.Second) << nanoseconds
	return t
}

// A machine that sleeps between TERM and KILL has less time left for the command
// than planned.
func TestASuspendInTheGraceBringsKILLForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene()
		s.after(time.Second, func() { s.hold.cancel(lockclient.ErrLost) })
		s.after(2500*time.Millisecond, func() { s.hold.suspend(expires) })
		s.check(t, lockclient.ErrLost, 3*time.Second,
			event{time.Second, syscall.SIGTERM}, event{time.Second, syscall.SIGCONT}, event{3 * time.Second, syscall.SIGKILL})
	})
}
