//go:build unix

package faults

import (
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/lockclient"
)

// owner is the label of the client whose requests are held back.
const owner = "the delayed one"

// settledBefore is what the acquire script answers to a late copy.
const settledBefore = "*1\r\n:-1\r\n"

// wantAnswer lets the request go, and waits until the server has executed it.
func (p *pen) wantAnswer(t *testing.T, want string) {
	t.Helper()
	p.letGo()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	select {
	case got := <-p.answer:
		if got != want {
			t.Errorf("the late request was answered %q, want %q", got, want)
		}
	case <-late.C:
		t.Fatal("the late request was never answered: the test proves nothing")
	}
}

// settled waits until the server knows that an attempt of key is over.
func settled(t *testing.T, inside *goredis.Client, key string) {
	t.Helper()
	eventually(t, 5*time.Second, "the attempt is settled", func() bool {
		for field := range inside.HGetAll(t.Context(), "{pylock:"+key+"}:turnstile").Val() {
			if len(field) > 8 && field[:8] == "settled:" {
				return true
			}
		}
		return false
	})
}

func wantFree(t *testing.T, inside *goredis.Client, key string) {
	t.Helper()
	if n := inside.Exists(t.Context(), "pylock:"+key, "{pylock:"+key+"}:turnstile:queue").Val(); n != 0 {
		t.Errorf("there are %d keys of a lock or a queue", n)
	}
}

// An acquire is held back until its caller has given up and the client has
// cancelled it over another connection. Then it is delivered.
func TestARequestDelayedPastItsCancelDoesNothing(t *testing.T) {
	for name, held := range map[string]bool{"grants nothing": false, "queues nothing": true} {
		t.Run(name, func(t *testing.T) {
			server, inside := redisServer(t)
			w := newWire(t, server.Addr)
			c := open(t, w.url()+"?read_timeout=200ms", owner)
			direct := open(t, server.URL(), "holder")
			release(t, acquire(t, c, "warm"))
			var holder *lockclient.Lock
			if held {
				holder = acquire(t, direct, "k")
			}
			p := w.holdBack(t, func(b []byte) bool { return acquires(b, owner) })
			if _, err := c.Acquire(t.Context(), "k", lockclient.Timeout(100*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) {
				t.Fatalf("%v, want ErrTimeout", err)
			}
			<-p.caught
			settled(t, inside, "k")
			p.wantAnswer(t, settledBefore)
			if held {
				if n := inside.Exists(t.Context(), "{pylock:k}:turnstile:queue").Val(); n != 0 {
					t.Error("it was queued")
				}
				release(t, holder)
			}
			wantFree(t, inside, "k")
		})
	}
}

// The client repeats the attempt over another connection, has the lock and
// gives it back. Then the first copy is delivered.
func TestARequestDelayedPastItsReleaseGrantsNothing(t *testing.T) {
	server, inside := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url()+"?read_timeout=200ms", owner)
	release(t, acquire(t, c, "warm"))
	p := w.holdBack(t, func(b []byte) bool { return acquires(b, owner) })
	lock := acquire(t, c, "k", lockclient.Timeout(5*time.Second))
	<-p.caught
	release(t, lock)
	p.wantAnswer(t, settledBefore)
	wantFree(t, inside, "k")
}

// A release is held back; the client repeats it, and another has the key when
// the first copy is delivered (S4).
func TestALateReleaseLeavesTheNextHolderAlone(t *testing.T) {
	server, inside := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url()+"?read_timeout=200ms", owner)
	next := open(t, server.URL(), "next")
	lock := acquire(t, c, "k")
	p := w.holdBack(t, func(b []byte) bool { return scriptCalls(b) > 0 && !acquires(b, owner) })
	release(t, lock)
	<-p.caught
	theirs := acquire(t, next, "k", lockclient.Timeout(time.Second))
	token := inside.Get(t.Context(), "pylock:k").Val()
	p.wantAnswer(t, "*1\r\n:0\r\n")
	if now := inside.Get(t.Context(), "pylock:k").Val(); token == "" || now != token {
		t.Error("the next holder's lease was touched")
	}
	release(t, theirs)
}

// The answer to an acquire comes when its lease is over, once: it is of no use,
// and the caller gets a fresh lease.
func TestAGrantThatComesAfterItsLeaseIsDiscarded(t *testing.T) {
	server, inside := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url(), owner)
	release(t, acquire(t, c, "warm"))
	const expires = 100 * time.Millisecond // the lease: (100 + 100) ms / 0.9
	p := w.delayOneReply(500 * time.Millisecond)
	start := time.Now()
	lock := acquire(t, c, "k", lockclient.Expires(expires), lockclient.Timeout(5*time.Second))
	left, lease := time.Until(lock.Deadline()), inside.PTTL(t.Context(), "pylock:k").Val()
	if took := time.Since(start); took < 500*time.Millisecond || p.Load() != 1 {
		t.Errorf("granted after %v: the reply was not late", took)
	}
	if left <= 0 || lease < left-jitter/10 {
		t.Errorf("granted for another %v on a lease of another %v", left, lease)
	}
	release(t, lock)
	wantFree(t, inside, "k")
}

// The caller has left when its grant comes, with a lease of a minute.
func TestAGrantThatNobodyAwaitsIsGivenBack(t *testing.T) {
	server, inside := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url(), owner)
	release(t, acquire(t, c, "warm"))
	w.delayOneReply(500 * time.Millisecond)
	_, err := c.Acquire(t.Context(), "k", lockclient.Expires(time.Minute), lockclient.Timeout(200*time.Millisecond))
	if !errors.Is(err, lockclient.ErrTimeout) {
		t.Fatalf("%v, want ErrTimeout", err)
	}
	if inside.Exists(t.Context(), "pylock:k").Val() != 1 {
		t.Fatal("nothing was granted: the test proves nothing")
	}
	eventually(t, time.Second, "the lease is given back", func() bool {
		return inside.Exists(t.Context(), "pylock:k").Val() == 0
	})
}

// A lock that a release gave away is the receiver's for a second only, until it
// has confirmed it. What it grants then lasts as long as any other hold.
func TestAGivenLockLastsAsLongAsItsHold(t *testing.T) {
	server, inside := redisServer(t)
	first, second, third := open(t, server.URL(), "first"), open(t, server.URL(), "second"), open(t, server.URL(), "third")
	held := acquire(t, first, "k")
	out := acquiring(t, second, "k")
	eventually(t, time.Second, "it waits", func() bool {
		info, err := first.Inspect(t.Context(), "k")
		return err == nil && info.Processes != nil && *info.Processes == 1
	})
	release(t, held)
	theirs := granted(t, out, heartbeat+jitter)
	if lease, left := inside.PTTL(t.Context(), "pylock:k").Val(), time.Until(theirs.Deadline()); lease < left {
		t.Errorf("granted for %v on a lease of %v", left, lease)
	}
	if _, err := third.Acquire(t.Context(), "k", lockclient.Timeout(1200*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) {
		t.Errorf("another got it as well: %v", err)
	}
	release(t, theirs)
}
