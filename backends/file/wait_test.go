//go:build linux || darwin

package file

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// line puts n sessions behind a holder, each subscribed.
func line(t *testing.T, dir string, n int) (sessions []*Backend, wakes []<-chan backends.Wake, waiting []backends.Request) {
	t.Helper()
	for place := 1; place <= n; place++ {
		b, w := subscribed(t, dir)
		var c claims
		r := c.request("k")
		if reply, err := b.Acquire(t.Context(), r); err != nil || reply.Place != place {
			t.Fatalf("want place %d, got %+v, %v", place, reply, err)
		}
		sessions, wakes, waiting = append(sessions, b), append(wakes, w), append(waiting, r)
	}
	return sessions, wakes, waiting
}

// TestWaitersAreToldOfTheirTurn and nobody else is woken: of those behind a holder the
// first when the key is given to it, and the second as it is the first then. With an
// alarm and without.
func TestWaitersAreToldOfTheirTurn(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		dir := t.TempDir()
		a := open(t, dir)
		var c claims
		held := c.request("k")
		take(t, a, held)
		sessions, wakes, waiting := line(t, dir, 4)
		for _, b := range sessions {
			b.watcher.mu.Lock()
			b.watcher.deaf = deaf
			b.watcher.mu.Unlock()
		}
		given := func(of int) {
			t.Helper()
			select {
			case w := <-wakes[of]:
				if w != (backends.Wake{Key: "k", Kind: backends.Given}) {
					t.Errorf("woken with %+v", w)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("not told, deaf %t", deaf)
			}
		}
		if err := a.Release(t.Context(), held.Attempt); err != nil {
			t.Fatal(err)
		}
		given(0)
		given(1)
		take(t, sessions[0], waiting[0])
		// The first in line gives up.
		if err := sessions[1].Cancel(t.Context(), waiting[1].Attempt); err != nil {
			t.Fatal(err)
		}
		given(2)
		if err := sessions[0].Release(t.Context(), waiting[0].Attempt); err != nil {
			t.Fatal(err)
		}
		given(2)
		given(3)
		take(t, sessions[2], waiting[2])
		for i, w := range wakes {
			if len(w) > 0 {
				t.Errorf("waiter %d is woken again: %+v", i, <-w)
			}
		}
	}
}

// TestALongQueueAsksSeldom: 40 waiting sessions ask less often together than three of
// the first in line would, and no one of them goes silent by that.
func TestALongQueueAsksSeldom(t *testing.T) {
	const waiters = 40
	var calls float64 // a second
	for place := 1; place <= waiters; place++ {
		calls += float64(time.Second) / float64(slowest(place)*3/4) // the most that jitter makes of it
	}
	if first := float64(time.Second) / float64(25*time.Millisecond*3/4); calls > 3*first {
		t.Errorf("%d sessions ask %.0f times a second; the first in line %.0f", waiters, calls, first)
	}
	// A waiter's word is believed for longer than it goes without asking.
	r := &record{key: "k"}
	session := backends.NewSession()
	for place := 1; place <= waiters; place++ {
		for now := int64(0); now < 10_000_000; now += ceil(slowest(place)) {
			r.wait(waiter{token: session.Token(uint64(place)), session: someSession}, now)
			if left := r.queue[place-1].alive - now; left < ceil(slowest(place))+patience/3 {
				t.Fatalf("place %d: believed for %v, and asks after %v", place, span(left), slowest(place))
			}
		}
	}
}
