package guard

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/testmain"
)

// The guards of these tests are the test's own binary, which is a guard when it is
// called as one.
func TestMain(m *testing.M) {
	testmain.Prepare(8)
	goleak.VerifyTestMain(m)
}

// events is a log that tells when it is written to.
type events struct {
	slog.Handler
	said chan string
}

func (e events) Enabled(context.Context, slog.Level) bool { return true }

func (e events) Handle(_ context.Context, r slog.Record) error {
	e.said <- r.Message
	return nil
}

func startGuard(t *testing.T) (*Guard, chan string) {
	t.Helper()
	said := make(chan string, mostGuards)
	g, err := Start(nil, slog.New(events{slog.DiscardHandler, said}))
	if err != nil {
		t.Fatal(err)
	}
	return g, said
}

func (g *Guard) process() *process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func next(t *testing.T, said chan string) string {
	t.Helper()
	select {
	case s := <-said:
		return s
	case <-time.After(time.Minute):
		t.Fatal("nothing was said")
		return ""
	}
}

// It was killed before turnstile knew the group, and its successor knows the marks
// alone when turnstile is gone as well.
func TestAReplacedGuardKnowsWhatWasSaidBefore(t *testing.T) {
	marks := [2]string{"TURNSTILE_KEY=of this test", "TURNSTILE_FENCE=7"}
	g, said := startGuard(t)
	g.Cover(marks)
	if err := g.process().cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	next(t, said)
	command := exec.Command("sleep", "600")
	command.Env = append(os.Environ(), marks[:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill() // it has ended, or the test has failed
	ended := make(chan struct{})
	go func() { // ends with the command
		_ = command.Wait()
		close(ended)
	}()
	g.process().pipe.Close() // as the kernel does when turnstile is gone
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the command outlived turnstile")
	}
	g.Dismiss()
	g.Wait()
}

// A command that became another user's runs on for an hour; its guard can't end it.
func TestAGuardThatCanNotKillLooksSeldom(t *testing.T) {
	for lives, most := range map[time.Duration]int{10 * time.Millisecond: 5, time.Hour: 3700} {
		synctest.Test(t, func(t *testing.T) {
			begin, looked := time.Now(), 0
			endGroup(func() bool {
				looked++
				return time.Since(begin) < lives
			}, func() {})
			took := time.Since(begin)
			if looked > most || took > lives+lives/2+guardPoll {
				t.Errorf("a group that ran for %v was looked at %d times, want %d at most, and left after %v", lives, looked, most, took)
			}
		})
	}
}

// Whichever is first, the death or the dismissal, no process and no goroutine is left.
func TestADismissalMayMeetAReplacement(t *testing.T) {
	for n := range 40 {
		g, said := startGuard(t)
		first, died := g.process().cmd.Process, make(chan struct{})
		go func() { // ends by itself
			_ = first.Kill()
			close(died)
		}()
		switch n % 4 {
		case 1: // the death is known to nobody yet
			<-died
		case 2: // the next one is being made, or there
			for first.Signal(syscall.Signal(0)) == nil {
				runtime.Gosched()
			}
		case 3: // it is there
			next(t, said)
		}
		g.Dismiss()
		g.Wait()
		<-died
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("a process is left: %d, %v", pid, err)
	}
}

// What can't be started again is told of, and nobody waits for it.
func TestAGuardThatCannotBeReplacedIsGivenUp(t *testing.T) {
	g, said := startGuard(t)
	for range mostGuards - 1 {
		if err := g.process().cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		next(t, said)
	}
	if err := g.process().cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := next(t, said); got != "the guard is gone: the command would survive a SIGKILL of turnstile" {
		t.Error(got)
	}
	g.Watch(1 << 30)
	g.Dismiss()
	g.Wait()
}

// A process has no environment for a moment while it is replaced by exec(3). Found by
// a grandchild that outlived its turnstile: the guard had looked once.
func TestAGuardLooksAgainForWhatHasItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		if group := findMarked(nil, func([]string) int {
			if looks++; looks < 6 {
				return 0
			}
			return 42
		}); group != 42 || looks != 6 {
			t.Errorf("group %d after %d looks, want 42 after 6", group, looks)
		}
		began := time.Now()
		if group := findMarked(nil, func([]string) int { return 0 }); group != 0 {
			t.Errorf("group %d, want none", group)
		}
		if took := time.Since(began); took < markedFor || took > 2*markedFor {
			t.Errorf("it looked for %v, want %v and not much more", took, markedFor)
		}
	})
}
