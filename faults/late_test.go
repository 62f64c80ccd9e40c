//go:build unix

package faults

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// owner is the label of the client whose requests are held back.
const owner = "the delayed one"

// settledBefore is the acquire script's answer to a late copy, notHeld the release
// script's, behind the attempt's number. More may follow. To a copy of a request that took the fast path
// the script fast answers that it did nothing: a string with a 0 behind the attempt's 12 digits.
const settledBefore, notHeld = ":-1", ":0"

const inFull = "$13"

// wantAnswer lets the request go, and waits until the server has executed it:
// want is what the answer has behind the attempt's number.
func (p *pen) wantAnswer(t *testing.T, want string) {
	t.Helper()
	p.letGo()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	select {
	case got := <-p.answer:
		lines := strings.Split(got, "\r\n")
		if len(lines) > 1 && lines[0] == inFull && strings.HasSuffix(lines[1], "0") {
			return
		}
		if len(lines) < 3 || lines[0][0] != '*' || lines[2] != want {
			t.Errorf("the late request was answered %q, want %q", got, want)
		}
	case <-late.C:
		t.Fatal("the late request was never answered: the test proves nothing")
	}
}

// attemptSettled waits until the server knows that an attempt of key is over.
func (p *place) attemptSettled(t *testing.T, key string) {
	t.Helper()
	inside := p.inside(key)
	eventually(t, 5*time.Second, "the attempt is settled", func() bool {
		for field := range inside.HGetAll(t.Context(), "{pylock:"+key+"}:turnstile:more").Val() {
			if len(field) > 8 && field[:8] == "settled:" {
				return true
			}
		}
		return false
	})
}

func (p *place) wantFree(t *testing.T, key string) {
	t.Helper()
	if n, err := p.inside(key).Exists(t.Context(), "pylock:"+key, "{pylock:"+key+"}:turnstile:queue").Result(); n != 0 || err != nil {
		t.Errorf("there are %d keys of a lock or a queue (%v)", n, err)
	}
}

// An acquire is held back until its caller has given up and the client has
// cancelled it over another connection. Then it is delivered.
func TestARequestDelayedPastItsCancelDoesNothing(t *testing.T) {
	beside(t)
	for name, held := range map[string]bool{"grants nothing": false, "queues nothing": true} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p *place) { delayedPastItsCancel(t, p, held) })
		})
	}
}

func delayedPastItsCancel(t *testing.T, p *place, held bool) {
	w, key := newWire(t), p.key("k")
	c := p.through(w.door, owner, 200*time.Millisecond)
	direct := open(t, p.URL(""), "holder")
	release(t, acquire(t, c, p.keyAt(p.server(key), "warm")))
	var holder *lockclient.Lock
	if held {
		holder = acquire(t, direct, key)
	}
	late := w.holdBack(t, func(b []byte) bool { return acquires(b, owner) })
	if _, err := c.Acquire(t.Context(), key, lockclient.Timeout(100*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) {
		t.Fatalf("%v, want ErrTimeout", err)
	}
	<-late.caught
	p.attemptSettled(t, key)
	late.wantAnswer(t, settledBefore)
	if held {
		if n := p.inside(key).Exists(t.Context(), "{pylock:"+key+"}:turnstile:queue").Val(); n != 0 {
			t.Error("it was queued")
		}
		release(t, holder)
	}
	p.wantFree(t, key)
}

// The client repeats the attempt over another connection, has the lock and
// gives it back. Then the first copy is delivered.
func TestARequestDelayedPastItsReleaseGrantsNothing(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w, key := newWire(t), p.key("k")
		c := p.through(w.door, owner, 200*time.Millisecond)
		release(t, acquire(t, c, p.keyAt(p.server(key), "warm")))
		late := w.holdBack(t, func(b []byte) bool { return acquires(b, owner) })
		lock := acquire(t, c, key, lockclient.Timeout(patience))
		<-late.caught
		release(t, lock)
		late.wantAnswer(t, settledBefore)
		p.wantFree(t, key)
	})
}

// A release is held back; the client repeats it, and another has the key when
// the first copy is delivered (S4).
func TestALateReleaseLeavesTheNextHolderAlone(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w, key := newWire(t), p.key("k")
		c := p.through(w.door, owner, 200*time.Millisecond)
		next := open(t, p.URL(""), "next")
		lock := acquire(t, c, key)
		late := w.holdBack(t, func(b []byte) bool { return scriptCalls(b) > 0 && !acquires(b, owner) })
		release(t, lock)
		<-late.caught
		theirs := acquire(t, next, key, lockclient.Timeout(time.Second))
		token := p.inside(key).Get(t.Context(), "pylock:"+key).Val()
		late.wantAnswer(t, notHeld)
		if now := p.inside(key).Get(t.Context(), "pylock:"+key).Val(); token == "" || now != token {
			t.Error("the next holder's lease was touched")
		}
		release(t, theirs)
	})
}

// The answer to an acquire comes when its lease is over, once: it is of no use,
// and the caller gets a fresh lease.
func TestAGrantThatComesAfterItsLeaseIsDiscarded(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w, key := newWire(t), p.key("k")
		c := p.through(w.door, owner, 0)
		release(t, acquire(t, c, p.keyAt(p.server(key), "warm")))
		const expires = 400 * time.Millisecond // the lease: (400 + 400) ms / 0.9
		const delay = 1500 * time.Millisecond
		var lock *lockclient.Lock
		var lease, left, took time.Duration
		// A caller who finds nobody else on the way waits 200 ms for its own answer, and
		// asks again. After such a round trip nobody does so for a second.
		for try := 0; try == 0 || try < tries && took < delay; try++ {
			if lock != nil {
				release(t, lock)
			}
			late := w.delayOneReply(delay)
			start := time.Now()
			lock = acquire(t, c, key, lockclient.Expires(expires), lockclient.Timeout(patience))
			lease = p.inside(key).PTTL(t.Context(), "pylock:"+key).Val() // the lease was longer when it was granted
			left, took = time.Until(lock.Deadline()), time.Since(start)
			if late.Load() != 1 {
				t.Fatal("no reply was late")
			}
		}
		if took < delay {
			t.Errorf("granted after %v: the reply was not late", took)
		}
		if left <= 0 || lease < left {
			t.Errorf("granted for another %v on a lease of another %v", left, lease)
		}
		release(t, lock)
		p.wantFree(t, key)
	})
}

// The caller has left when its grant comes, with a lease of a minute.
func TestAGrantThatNobodyAwaitsIsGivenBack(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w, key := newWire(t), p.key("k")
		c := p.through(w.door, owner, 0)
		// After a slow round trip no caller makes its own, which it would give up after 200 ms.
		w.delayOneReply(50 * time.Millisecond)
		release(t, acquire(t, c, p.keyAt(p.server(key), "warm")))
		w.delayOneReply(500 * time.Millisecond)
		_, err := c.Acquire(t.Context(), key, lockclient.Expires(time.Minute), lockclient.Timeout(200*time.Millisecond))
		if !errors.Is(err, lockclient.ErrTimeout) {
			t.Fatalf("%v, want ErrTimeout", err)
		}
		if p.inside(key).Exists(t.Context(), "pylock:"+key).Val() != 1 {
			t.Fatal("nothing was granted: the test proves nothing")
		}
		eventually(t, time.Second, "the lease is given back", func() bool {
			return p.inside(key).Exists(t.Context(), "pylock:"+key).Val() == 0
		})
	})
}

// A lock that a release gave away is the receiver's for a second only, until it
// has confirmed it. What it grants then lasts as long as any other hold.
func TestAGivenLockLastsAsLongAsItsHold(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	first, second, third := open(t, server.URL(), "first"), open(t, server.URL(), "second"), open(t, server.URL(), "third")
	held := acquire(t, first, "k")
	out := acquiring(t, second, "k")
	eventually(t, time.Second, "it waits", func() bool {
		info, err := first.Inspect(t.Context(), "k")
		return err == nil && info.Processes != nil && *info.Processes == 1
	})
	release(t, held)
	theirs := granted(t, out, heartbeat)
	if lease, left := inside.PTTL(t.Context(), "pylock:k").Val(), time.Until(theirs.Deadline()); lease < left {
		t.Errorf("granted for %v on a lease of %v", left, lease)
	}
	if _, err := third.Acquire(t.Context(), "k", lockclient.Timeout(1200*time.Millisecond)); !errors.Is(err, lockclient.ErrTimeout) {
		t.Errorf("another got it as well: %v", err)
	}
	release(t, theirs)
}
