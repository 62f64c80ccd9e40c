package interop

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	steps "github.com/turnstile-go/turnstile/internal/pylock"
	"github.com/turnstile-go/turnstile/lockclient"
)

// ourStamp begins every value of ours: to a pylock, a time in the year 2100.
const ourStamp = "4102444800.1"

// leave puts under the key what a crashed pylock leaves.
func leave(t *testing.T, inside *goredis.Client) {
	t.Helper()
	if _, err := newPylock(settings{}, inside).LeaveOver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// overwrite does what a pylock does that saw a leftover and comes too late with
// its GETSET: it takes our value away, and the ttl with it.
func overwrite(t *testing.T, inside *goredis.Client) {
	t.Helper()
	old, err := newPylock(settings{}, inside).GetSet(t.Context(), steps.Stamp(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(old, ourStamp) || inside.PTTL(t.Context(), fullKey).Val() >= 0 {
		t.Fatalf("%q was under the key: the test proves nothing", old)
	}
}

// isOurs reports whether a value of ours is under the key, with a ttl.
func isOurs(t *testing.T, inside *goredis.Client) bool {
	t.Helper()
	value := inside.Get(t.Context(), fullKey).Val()
	return strings.HasPrefix(value, ourStamp) && inside.PTTL(t.Context(), fullKey).Val() > 0
}

func TestAPylocksLeftoverIsTakenOver(t *testing.T) {
	t.Parallel()
	addr, inside := redisServer(t)
	c := open(t, addr, lockclient.Config{})
	leave(t, inside)
	lock, err := c.TryAcquire(t.Context(), key)
	if err != nil {
		t.Fatalf("ours, on a leftover: %v", err)
	}
	if !isOurs(t, inside) {
		t.Error("the key does not hold our value with a ttl")
	}
	their := newPylock(polling(addr), inside)
	if won, err := their.acquire(short); won || err != nil {
		t.Errorf("a pylock got it as well: %v, %v", won, err)
	}
	release(t, lock)
	wantFree(t, inside)
}

// Whoever comes first has the leftover, and the other one knows.
func TestALeftoverIsTakenOnce(t *testing.T) {
	t.Parallel()
	addr, inside := redisServer(t)
	c := open(t, addr, lockclient.Config{})
	s := polling(addr)

	t.Run("by a pylock that comes first", func(t *testing.T) {
		leave(t, inside)
		their := newPylock(s, inside)
		if won, err := their.acquire(0); !won || err != nil {
			t.Fatalf("a pylock, on a leftover: %v, %v", won, err)
		}
		wantTimeout(t, c)
		if err := their.release(); err != nil {
			t.Fatal(err)
		}
		wantFree(t, inside)
	})
	t.Run("by ours between a pylock's look and its GETSET", func(t *testing.T) {
		leave(t, inside)
		var lock *lockclient.Lock
		var failure error
		late := newPylock(s, inside)
		late.Raced = func() { lock, failure = c.TryAcquire(t.Context(), key) }
		if won, err := late.acquire(0); won || err != nil || failure != nil {
			t.Fatalf("a pylock that came too late: %v, %v; ours: %v", won, err, failure)
		}
		// The key still keeps everybody out, whatever is under it now.
		for _, their := range []peer{late, newPylock(s, inside), newRedsync(s, inside)} {
			late.Raced = nil
			if won, err := their.acquire(short); won || err != nil {
				t.Errorf("%T got our key: %v, %v", their, won, err)
			}
		}
		wantHeld(t, lock)
		release(t, lock)
		wantFree(t, inside)
	})
	t.Run("by one of two that race", func(t *testing.T) {
		won := map[string]int{}
		overwritten := 0
		for range 100 {
			leave(t, inside)
			their := newPylock(s, inside)
			their.Raced = func() { time.Sleep(rand.N(time.Millisecond)) } // else it is seldom late
			polling := beside(func() (bool, error) { return their.acquire(0) })
			time.Sleep(rand.N(time.Millisecond))
			lock, err := c.TryAcquire(t.Context(), key)
			if err != nil && !errors.Is(err, lockclient.ErrTimeout) {
				t.Fatal(err)
			}
			got := soon(t, "a pylock's try", polling, jitter)
			if (err == nil) == got.value {
				t.Fatalf("ours has the leftover: %v; the pylock has it: %v", err == nil, got.value)
			}
			if got.value {
				won[theirs]++
				err = their.release()
			} else {
				won[ours]++
				if !isOurs(t, inside) {
					overwritten++
				}
				err = lock.Release()
			}
			if err != nil {
				t.Fatalf("the taker's release: %v", err)
			}
			wantFree(t, inside)
		}
		t.Logf("ours had %d leftovers, of which %d were overwritten; the pylock had %d", won[ours], overwritten, won[theirs])
	})
}

// A losing GETSET takes our value and its ttl away in the middle of a hold, which
// had taken a leftover over. A renewal puts both back.
func TestAnOverwrittenHoldIsPutRightByItsRenewal(t *testing.T) {
	t.Parallel()
	addr, inside := redisServer(t)
	c := open(t, addr, lockclient.Config{})
	const expires = time.Second
	leave(t, inside)
	lock := acquire(t, c, lockclient.Expires(expires), lockclient.Renew())
	before := inside.Get(t.Context(), fullKey).Val()
	overwrite(t, inside)
	// Renewals come at a third of the lease, which is expires and up to as much slack.
	eventually(t, 2*expires/3+jitter, "our value is under the key again", func() bool { return isOurs(t, inside) })
	if after := inside.Get(t.Context(), fullKey).Val(); after != before {
		t.Error("it is not the value that was overwritten")
	}
	// The hold lives on, longer than without a renewal, and keeps others out.
	their := newPylock(polling(addr), inside)
	if won, err := their.acquire(3 * expires); won || err != nil {
		t.Fatalf("a pylock got our key: %v, %v", won, err)
	}
	wantHeld(t, lock)
	release(t, lock)
	wantFree(t, inside)
}

// The release may come before the renewal.
func TestAnOverwrittenHoldIsPutRightByItsRelease(t *testing.T) {
	t.Parallel()
	addr, inside := redisServer(t)
	c, other := open(t, addr, lockclient.Config{}), open(t, addr, lockclient.Config{})
	leave(t, inside)
	lock := acquire(t, c, lockclient.Expires(2*time.Second), lockclient.Renew())
	overwrite(t, inside)
	release(t, lock)
	wantFree(t, inside)

	// And while another process of ours waits.
	lock = acquire(t, c, lockclient.Expires(2*time.Second), lockclient.Renew())
	waiting := beside(func() (*lockclient.Lock, error) { return other.Acquire(t.Context(), key) })
	eventually(t, 5*time.Second, "the other process waits", func() bool {
		info, err := c.Inspect(t.Context(), key)
		return err == nil && info.Processes != nil && *info.Processes == 1
	})
	overwrite(t, inside)
	release(t, lock)
	release(t, soon(t, "the other process, after our release", waiting, promptly).value)
	wantFree(t, inside)
}
