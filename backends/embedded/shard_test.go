package embedded

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Keys that nobody asks for again are freed by the timer, which then rests.
func TestAnIdleStoreFreesWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Open(t.Name())
		session := backends.NewSession()
		for n := range uint64(3000) {
			r := backends.Request{
				Attempt: backends.Attempt{Key: fmt.Sprint(n), Token: session.Token(n + 1)}, TTL: 10 * time.Second,
			}
			if reply, err := b.Acquire(context.Background(), r); err != nil || reply.Outcome != backends.Granted {
				t.Fatal(reply, err)
			}
		}
		left := func() (keys int, armed bool) {
			for _, s := range b.store.shards {
				s.mu.Lock()
				keys += s.keys.Len()
				armed = armed || s.armed != 0
				s.mu.Unlock()
			}
			return keys, armed
		}
		time.Sleep(15 * time.Second) // virtual
		if keys, armed := left(); keys != 3000 || !armed {
			t.Errorf("when the leases ended: %d keys, armed: %v; want the 3000 companions", keys, armed)
		}
		time.Sleep(time.Minute) // virtual
		if keys, armed := left(); keys != 0 || armed {
			t.Errorf("when the companions ended: %d keys, armed: %v", keys, armed)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}
