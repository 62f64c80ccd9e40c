package memcache

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// spoil makes the nth command of a backend fail, and so many after it; done says
// whether they reach the server all the same.
func spoil(b *Backend, nth, many int, done bool) (met func() bool) {
	n := 0
	b.hook(func(c command) error {
		n++
		if n < nth || n >= nth+many {
			return c.do()
		}
		if done {
			_ = c.do()
		}
		return errInjected
	})
	return func() bool { return n >= nth+many-1 }
}

// each runs a test with every command of a verb spoilt, one after the other, until
// the verb has none that comes so late.
func each(t *testing.T, many int, test func(t *testing.T, b *Backend, spoilt func() (met func() bool)) bool) {
	t.Helper()
	for _, done := range []bool{false, true} {
		for nth := 1; ; nth++ {
			b := open(t, shared.URL())
			met := true
			if t.Run(fmt.Sprintf("command %d, done %v", nth, done), func(t *testing.T) {
				met = test(t, b, func() func() bool { return spoil(b, nth, many, done) })
				b.between = nil
			}); !met || t.Failed() {
				if nth < 2 {
					t.Error("nothing was spoilt: the test proves nothing")
				}
				break
			}
		}
	}
}

// TestOneLostCommandIsSettledInItsVerb, whichever of them it is, and whether it
// got through or not.
func TestOneLostCommandIsSettledInItsVerb(t *testing.T) {
	t.Parallel()
	t.Run("acquire", func(t *testing.T) {
		each(t, 1, func(t *testing.T, b *Backend, spoilt func() func() bool) bool {
			r := newRequest(newKey(t))
			met := spoilt()
			mustGrant(t, b, r)
			b.between = nil
			mustRelease(t, b, r)
			return met()
		})
	})
	t.Run("renew", func(t *testing.T) {
		each(t, 1, func(t *testing.T, b *Backend, spoilt func() func() bool) bool {
			r := newRequest(newKey(t))
			reply := mustGrant(t, b, r)
			met := spoilt()
			again, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base)
			if err != nil || again.Base <= reply.Base {
				t.Errorf("renewed with base %d after %d, %v", again.Base, reply.Base, err)
			}
			b.between = nil
			mustRelease(t, b, r)
			return met()
		})
	})
	t.Run("release", func(t *testing.T) {
		each(t, 1, func(t *testing.T, b *Backend, spoilt func() func() bool) bool {
			r := newRequest(newKey(t))
			mustGrant(t, b, r)
			met := spoilt()
			mustRelease(t, b, r)
			mustGrant(t, open(t, shared.URL()), newRequest(r.Key))
			return met()
		})
	})
}

// TestAnAttemptWithoutAnAnswerIsRepeatedOrCancelled: two lost commands in a row
// end a verb, and both ways on are open.
func TestAnAttemptWithoutAnAnswerIsRepeatedOrCancelled(t *testing.T) {
	t.Parallel()
	each(t, 2, func(t *testing.T, b *Backend, spoilt func() func() bool) bool {
		other := open(t, shared.URL())
		for _, cancel := range []bool{false, true} {
			r := newRequest(newKey(t))
			met := spoilt()
			reply, err := b.Acquire(bounded(t), r)
			b.between = nil
			if !met() {
				return false
			}
			// Lost after the grant was proved, it is of no account.
			if err != nil && (!errors.Is(err, backends.ErrUnavailable) || reply.Outcome != backends.MayHaveRun) {
				t.Errorf("%v, %v; want may have run, and ErrUnavailable", reply.Outcome, err)
			}
			if cancel {
				if err := b.Cancel(bounded(t), r.Attempt); err != nil {
					t.Errorf("cancel: %v", err)
				}
				mustGrant(t, other, newRequest(r.Key))
				continue
			}
			mustGrant(t, b, r)
			wantOutcome(t, other, newRequest(r.Key), backends.Held)
			mustRelease(t, b, r)
		}
		return true
	})
}

// lateAdd is a copy of an attempt's add that arrives now.
func lateAdd(t *testing.T, inside *gomemcache.Client, r backends.Request) {
	t.Helper()
	bare := lease{token: r.Token}.encode()
	if err := inside.Add(&gomemcache.Item{Key: itemsOf(r.Key).lock, Value: bare, Expiration: unconfirmed}); err != nil {
		t.Fatal(err)
	}
}

// TestALateAddGrantsNothing: its attempt is over. It costs its own process nothing
// and others some seconds.
func TestALateAddGrantsNothing(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	for name, end := range map[string]func(backends.Request) error{
		"released":  func(r backends.Request) error { return b.Release(bounded(t), r.Attempt) },
		"cancelled": func(r backends.Request) error { return b.Cancel(bounded(t), r.Attempt) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(newKey(t))
			mustGrant(t, b, r)
			if err := end(r); err != nil {
				t.Fatal(err)
			}
			lateAdd(t, inside, r)
			if reply, err := b.Acquire(bounded(t), r); !errors.Is(err, backends.ErrSettled) || reply.Outcome != backends.NotRun {
				t.Errorf("the settled attempt: %v, %v", reply.Outcome, err)
			}
			r = next(r)
			mustGrant(t, b, r)
			mustRelease(t, b, r)

			lateAdd(t, inside, r)
			stranger := newRequest(r.Key)
			wantOutcome(t, other, stranger, backends.Held)
			eventually(t, "another gets the key", func() bool {
				reply, err := other.Acquire(bounded(t), stranger)
				return err == nil && reply.Outcome == backends.Granted
			})
			mustRelease(t, other, stranger)
		})
	}
}

// TestALateAddIsNoLease: the lease was dropped, another had the key in between,
// and a copy of the add brings the token back. The holder has lost the key.
func TestALateAddIsNoLease(t *testing.T) {
	t.Parallel()
	b, other, inside := open(t, shared.URL()), open(t, shared.URL()), driver(t, shared.Addr)
	r := newRequest(newKey(t))
	reply := mustGrant(t, b, r)
	if err := inside.Delete(r.Key); err != nil {
		t.Fatal(err)
	}
	between := newRequest(r.Key)
	mustGrant(t, other, between)
	mustRelease(t, other, between)
	lateAdd(t, inside, r)
	if _, err := b.Renew(bounded(t), r.Attempt, r.TTL, reply.Base); !backends.IsNotHeld(err) {
		t.Errorf("renew: %v, want ErrNotHeld", err)
	}
	if err := b.Release(bounded(t), r.Attempt); !backends.IsNotHeld(err) {
		t.Errorf("release: %v, want ErrNotHeld", err)
	}
	mustGrant(t, other, newRequest(r.Key)) // and the copy is gone
}

// TestAnExpirationIsNeverShort: what is set lives for the reply's ttl at least,
// wherever between two ticks it was set.
func TestAnExpirationIsNeverShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int32{
		time.Millisecond: 2, time.Second: 2, time.Second + 1: 3, 1500 * time.Millisecond: 3,
		10 * time.Second: 11, 24 * time.Hour: 86_401, 31 * 24 * time.Hour: 2_592_000,
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v is kept for %d s, want %d", d, got, want)
		}
	}
	b, other := open(t, shared.URL()), open(t, shared.URL())
	for _, begin := range []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond} {
		t.Run(fmt.Sprint("after ", begin), func(t *testing.T) {
			t.Parallel()
			<-time.After(begin) // so that each begins in another part of the server's second
			r, waiting := newRequest(newKey(t)), newRequest("")
			r.TTL, waiting.Key = time.Second, r.Key
			start := time.Now()
			reply := mustGrant(t, b, r)
			eventually(t, "the lease ends", func() bool {
				reply, err := other.Acquire(bounded(t), waiting)
				return err == nil && reply.Outcome == backends.Granted
			})
			if took := time.Since(start); took < reply.TTL {
				t.Errorf("a lease of %v ended after %v", reply.TTL, took)
			}
			mustRelease(t, other, waiting)
		})
	}
}

// TestFullServersAndLoginsAreReported, in the server's words and without an item's.
func TestFullServersAndLoginsAreReported(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		// Nothing is evicted, so nothing more can be stored.
		server := servertest.Memcached(t, "-M", "-m", "1", "-I", "512k")
		inside := driver(t, server.Addr)
		b := open(t, server.URL())
		held := newRequest(newKey(t) + strings.Repeat("k", 180)) // large, so that few fill the server
		held.TTL = 4 * time.Second
		reply := mustGrant(t, b, held)
		// Items of about one size share their pages: there must be no room for an
		// attempt's, nor for what the lock would be swapped for.
		for _, size := range []int{60, 200, 260, 320, 380} {
			for n := 0; ; n++ {
				if err := inside.Set(&gomemcache.Item{Key: fmt.Sprintf("%d:%d", size, n), Value: make([]byte, size)}); err != nil {
					break
				}
			}
		}
		// A lock from before can't be swapped for anything, and stays to its end.
		_, renewed := b.Renew(bounded(t), held.Attempt, held.TTL, reply.Base)
		for verb, err := range map[string]error{"renew": renewed, "release": b.Release(bounded(t), held.Attempt)} {
			if !errors.Is(err, backends.ErrUnavailable) || backends.IsNotHeld(err) {
				t.Errorf("%s: %v, want ErrUnavailable", verb, err)
			}
		}
		var err error
		for n := 0; err == nil && n < 10_000; n++ {
			_, err = b.Acquire(bounded(t), newRequest(newKey(t)))
		}
		if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrRefused) || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("%v, want ErrUnavailable for want of memory", err)
		}
		eventually(t, "the lock ends", func() bool {
			_, err := inside.Get(held.Key)
			return errors.Is(err, gomemcache.ErrCacheMiss)
		})
	})
	t.Run("no cas", func(t *testing.T) {
		t.Parallel()
		b, r := open(t, servertest.Memcached(t, "-C").URL()), newRequest(newKey(t))
		reply, err := b.Acquire(bounded(t), r)
		if !errors.Is(err, backends.ErrRefused) || !strings.Contains(err.Error(), "-C") || reply.Outcome == backends.Granted {
			t.Errorf("%v, %v; want ErrRefused, and that -C is why", reply.Outcome, err)
		}
	})
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		b := open(t, shared.URL())
		b.hook(func(command) error {
			return errors.New(`memcache: unexpected response line from "add": "CLIENT_ERROR unauthenticated\r\n"`)
		})
		if _, err := b.Acquire(bounded(t), newRequest(newKey(t))); !errors.Is(err, backends.ErrRefused) {
			t.Errorf("%v, want ErrRefused", err)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		t.Parallel()
		b, r := open(t, shared.URL()), newRequest(newKey(t))
		b.hook(func(command) error {
			return fmt.Errorf("memcache: unexpected line in get response: %q", r.Token.Wire())
		})
		_, err := b.Acquire(bounded(t), r)
		if !errors.Is(err, backends.ErrUnavailable) || strings.Contains(err.Error(), string(r.Token.Session())) {
			t.Errorf("%v, want ErrUnavailable without the token", err)
		}
	})
}

// TestACancelThatCrossesItsAcquireWins, wherever it comes: the acquire is granted
// nothing, and nothing is left of it.
func TestACancelThatCrossesItsAcquireWins(t *testing.T) {
	t.Parallel()
	for nth := 1; nth <= 4; nth++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("command %d, after %v", nth, after), func(t *testing.T) {
				b, beside := open(t, shared.URL()), open(t, shared.URL())
				r := newRequest(newKey(t))
				warm := newRequest(r.Key)
				mustGrant(t, beside, warm) // seeds the counter
				mustRelease(t, beside, warm)
				n := 0
				b.hook(func(c command) (err error) {
					if n++; n != nth {
						return c.do()
					}
					if after {
						err = c.do()
					}
					if failed := b.Cancel(bounded(t), r.Attempt); failed != nil {
						t.Errorf("cancel: %v", failed)
					}
					if !after {
						err = c.do()
					}
					return err
				})
				reply, err := b.Acquire(bounded(t), r)
				if !errors.Is(err, backends.ErrSettled) || reply.Outcome != backends.NotRun {
					t.Errorf("%v, %v; want not run, and ErrSettled", reply.Outcome, err)
				}
				mustGrant(t, beside, newRequest(r.Key))
			})
		}
	}
}
