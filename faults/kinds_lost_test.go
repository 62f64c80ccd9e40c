//go:build unix

package faults

import (
	"errors"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A downgrade runs, and is not answered. The hold is shared from then on, whatever is answered later: readers are
// in, its renewals find its share, and its release leaves theirs alone. (attack 34)
func TestADowngradeThatIsNotAnsweredHolds(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w := newWire(t)
		c := p.through(w.door, owner, 0)
		key := p.key("k")
		writer := acquire(t, c, key, lockclient.Renew(), lockclient.Expires(time.Minute))
		others := open(t, p.URL(""), "the reader")
		reader := acquiring(t, others, key, lockclient.Shared(), lockclient.Renew())
		eventually(t, patience, "the reader waits", func() bool { return others.Stats().Waiters == 1 })
		w.onReply(func(l *link, b []byte) fate {
			if scriptReply(l, b) {
				return cut
			}
			return pass
		})
		if err := writer.Downgrade(); !errors.Is(err, lockclient.ErrUnavailable) {
			t.Errorf("downgrade: %v", err)
		}
		in := granted(t, reader, 5*time.Second) // the request has run
		w.onReply(nil)
		if err := writer.Downgrade(); err != nil {
			t.Errorf("of a hold that is shared by now: %v", err)
		}
		if err := writer.Check(t.Context()); err != nil || writer.Context().Err() != nil {
			t.Errorf("check: %v; %v", err, writer.Context().Err())
		}
		if _, err := others.TryAcquire(t.Context(), key); !errors.Is(err, lockclient.ErrHeld) {
			t.Errorf("a writer beside readers: %v", err)
		}
		release(t, writer)
		if err := in.Check(t.Context()); err != nil {
			t.Errorf("the reader's: %v", err)
		}
		release(t, in)
		release(t, acquire(t, c, key))
	})
}
