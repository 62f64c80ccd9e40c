package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A slowRelease takes a second.
type slowRelease struct{ grantAll }

func (*slowRelease) Release(context.Context, backends.Attempt) error {
	time.Sleep(time.Second) // virtual
	return nil
}

// TestAnAnswerThatIsThereIsNotCalledMissing: a machine with too much to do runs the
// actor only after the caller's patience. The backend's answer came in time.
func TestAnAnswerThatIsThereIsNotCalledMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &slowRelease{}, Config{})
		h := hold(t, c, Spec{Expires: time.Minute})
		released := make(chan error, 1)
		go func() { released <- h.Release() }()
		synctest.Wait()
		stalled := make(chan Info) // no slot: the actor stands still until somebody reads
		h.entry.post(snapshot{reply: stalled})
		time.Sleep(callTimeout + time.Second) // virtual
		<-stalled
		if err := <-released; err != nil {
			t.Errorf("release: %v; the backend had answered after 1 s", err)
		}
	})
}
