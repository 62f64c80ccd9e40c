package interop

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// short is how long one side tries in vain: several polls of either.
	short = 150 * time.Millisecond
	// promptly is how long a lock that was released may stay unused.
	promptly = foreignPoll + jitter
	// lease is the shortest that all of them know: pylock's and retools' EXPIRE
	// counts seconds.
	lease = time.Second
)

// polling is a client that looks often, and whose lock outlives any test: what is
// tested is whether it gets the key, and not how soon.
func polling(addr string) settings { return settings{addr, 10 * time.Second, 10 * time.Millisecond} }

// eachLibrary runs a test for all of them, each on a server of its own.
func eachLibrary(t *testing.T, f func(*testing.T, library)) {
	t.Helper()
	t.Parallel()
	for _, l := range libraries() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			f(t, l)
		})
	}
}

func TestTheirsRespectsOurs(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		addr, inside := redisServer(t)
		c := open(t, addr, lockclient.Config{})
		their := l.open(t, polling(addr))

		lock := acquire(t, c)
		if won, err := their.acquire(short); won || err != nil {
			t.Fatalf("they got our key: %v, %v", won, err)
		}
		wantHeld(t, lock)
		waiting := beside(func() (bool, error) { return their.acquire(patience) })
		notYet(t, "they have our key", waiting, short)
		wantHeld(t, lock)
		release(t, lock)
		if got := soon(t, "theirs, after our release", waiting, promptly); !got.value {
			t.Fatal("they gave up on a free key")
		}
		wantTimeout(t, c)
		if err := their.release(); err != nil {
			t.Fatal(err)
		}
		wantFree(t, inside)
	})
}

func TestOursRespectsTheirs(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		addr, inside := redisServer(t)
		c := open(t, addr, lockclient.Config{})
		their := l.open(t, polling(addr))

		if won, err := their.acquire(short); !won || err != nil {
			t.Fatalf("theirs, on a free key: %v, %v", won, err)
		}
		wantTimeout(t, c)
		// Their release tells nobody: ours finds the key free at its next look.
		waiting := beside(func() (*lockclient.Lock, error) { return c.Acquire(t.Context(), key) })
		notYet(t, "ours has their key", waiting, 3*foreignPoll)
		if err := their.release(); err != nil {
			t.Fatalf("their release, after our tries: %v", err)
		}
		lock := soon(t, "ours, after their release", waiting, promptly).value
		if won, err := their.acquire(short); won || err != nil {
			t.Fatalf("they got our key: %v, %v", won, err)
		}
		release(t, lock)
		wantFree(t, inside)
	})
}

// Somebody deletes our key in the middle of a hold, as a pylock does whose own
// time is almost over. What comes in our place is not ours to release or renew.
func TestOursLeavesAloneWhatTookItsPlace(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		addr, inside := redisServer(t)
		c := open(t, addr, lockclient.Config{})
		their := l.open(t, polling(addr))
		for _, renewed := range []bool{false, true} {
			options := []lockclient.Option{lockclient.Expires(lease)}
			if renewed {
				options = append(options, lockclient.Renew())
			}
			lock := acquire(t, c, options...)
			if n := inside.Del(t.Context(), fullKey).Val(); n != 1 {
				t.Fatal("there was nothing to delete")
			}
			if won, err := their.acquire(short); !won || err != nil {
				t.Fatalf("theirs, on a free key: %v, %v", won, err)
			}
			if renewed {
				eventually(t, 2*lease, "a renewal finds the lease gone", func() bool { return lock.Context().Err() != nil })
				if cause := context.Cause(lock.Context()); !errors.Is(cause, lockclient.ErrLost) {
					t.Errorf("the hold ended by %v, want ErrLost", cause)
				}
			}
			if err := lock.Release(); !errors.Is(err, lockclient.ErrNotHeld) {
				t.Errorf("release: %v, want ErrNotHeld", err)
			}
			wantTimeout(t, c)
			if err := their.release(); err != nil {
				t.Fatalf("their release: %v", err)
			}
			wantFree(t, inside)
		}
	})
}

// A holder of theirs dies: its ttl lets us in, and nothing does before.
func TestTheirCrashedHolderLetsOursIn(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		addr, inside := redisServer(t)
		c := open(t, addr, lockclient.Config{})
		their := l.open(t, settings{addr, lease, 10 * time.Millisecond})

		before := time.Now()
		if won, err := their.acquire(short); !won || err != nil {
			t.Fatalf("theirs, on a free key: %v, %v", won, err)
		}
		after := time.Now()
		their.crash()
		wantTimeout(t, c)
		got := soon(t, "ours, after their crash", beside(func() (*lockclient.Lock, error) {
			return c.Acquire(t.Context(), key)
		}), lease+foreignPoll+jitter)
		if d := got.at.Sub(before); d < lease {
			t.Errorf("ours has the key %v after they took it for %v", d, lease)
		}
		t.Logf("%v after their grant", got.at.Sub(after))
		release(t, got.value)
		wantFree(t, inside)
	})
}

// Ours is cut from the server while it holds: its lease lets them in, and no
// earlier than our holder knows that its hold is over.
func TestOurCutOffHolderLetsTheirsIn(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		addr, inside := redisServer(t)
		proxy := servertest.NewProxy(t, addr)
		c := open(t, proxy.Addr, lockclient.Config{})
		their := l.open(t, polling(addr))

		lock := acquire(t, c, lockclient.Expires(lease))
		began := time.Now()
		proxy.Cut() // it can neither renew nor release, as if it had died; but it can say what it believes
		got := soon(t, "theirs, after our lease", beside(func() (bool, error) { return their.acquire(patience) }),
			lease*102/100+time.Second+jitter)
		if !got.value {
			t.Fatal("they gave up on a free key")
		}
		if got.at.Before(lock.Deadline()) {
			t.Errorf("they have the key %v before our hold is over", time.Until(lock.Deadline()))
		}
		if ctx := lock.Context(); ctx.Err() == nil {
			t.Error("they have the key, and our holder was not told")
		}
		t.Logf("%v after our grant of %v", got.at.Sub(began), lease)
		before := inside.Get(t.Context(), fullKey).Val()
		proxy.Heal()
		if err := lock.Release(); !errors.Is(err, lockclient.ErrNotHeld) {
			t.Errorf("release of a hold that is over: %v, want ErrNotHeld", err)
		}
		// What ours still does about its old lease must not touch their lock. The
		// driver may be late to notice that the server is back.
		eventually(t, 5*time.Second, "ours learns who has the key", func() bool { return told(t.Context(), c) == nil })
		if value := inside.Get(t.Context(), fullKey).Val(); value != before {
			t.Errorf("their value %q became %q", before, value)
		}
		if err := their.release(); err != nil {
			t.Fatalf("their release: %v", err)
		}
		wantFree(t, inside)
	})
}
