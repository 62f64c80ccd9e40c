package lockclient

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// waiter is the attempt of the client that waits.
func (g *gift) waiter() backends.Attempt {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return backends.Attempt{Key: "k", Token: g.s.waiting["k"][0].token}
}

// TestAPushBesideARepetition: the backend repeats the call of a client that waits, by itself.
func TestAPushBesideARepetition(t *testing.T) {
	inVirtualTime(t, "that has arrived: the push is the grant, from when it was sent", func(t *testing.T) {
		g := waits(t, Expires(10*time.Second))
		again := g.b.repeats(g.waiter(), 3*time.Second)
		sent := time.Now()
		time.Sleep(50 * time.Millisecond)
		again.arrives(g.s)
		g.release(t)
		calls := g.b.callsMade()
		lock := g.heard()
		if lock == nil || g.b.callsMade() != calls {
			t.Fatal("the push is no grant, or took a call")
		}
		if got, want := lock.Deadline(), sent.Add(3*time.Second-80*time.Millisecond); !got.Equal(want) {
			t.Errorf("deadline %v after the repetition was sent, want %v", got.Sub(sent), want.Sub(sent))
		}
		release(t, lock)
	})
	inVirtualTime(t, "that hangs: only the next call brings the hold", func(t *testing.T) {
		g := waits(t, Expires(10*time.Second))
		again := g.b.repeats(g.waiter(), time.Second)
		g.release(t) // given to the call before
		called := make(chan struct{})
		g.b.asks = func(ctx context.Context, call func() (backends.Reply, error)) (backends.Reply, error) {
			<-called
			return call()
		}
		if g.heard() != nil {
			t.Error("granted by the push")
		}
		close(called)
		lock := g.now()
		if lock == nil {
			t.Fatal("the push did not have it ask")
		}
		if d := time.Until(lock.Deadline()); d < 9*time.Second {
			t.Errorf("%v are left of a hold that a call has brought", d)
		}
		again.arrives(g.s)
		if g.s.places("k") != 0 {
			t.Error("the repetition has queued it")
		}
		release(t, lock)
	})
	inVirtualTime(t, "of an attempt that has ended", func(t *testing.T) {
		g := waits(t)
		of := g.waiter()
		g.release(t)
		release(t, g.heard())
		synctest.Wait()
		if on := g.b.repeats(backends.Attempt{Key: "nobody's", Token: of.Token}, time.Second); on.ask != 0 {
			t.Error("a key that nobody wants is to be repeated")
		}
		g.b.repeats(of, time.Second).arrives(g.s)
		if g.s.places("k") != 0 {
			t.Error("it is queued")
		}
	})
}
