package lockclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func embeddedClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Backend = "embedded://" + t.Name()
	return openClient(t, cfg)
}

func acquire(t *testing.T, c *Client, key string, opts ...Option) *Lock {
	t.Helper()
	lock, err := c.Acquire(t.Context(), key, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func release(t *testing.T, lock *Lock) {
	t.Helper()
	if err := lock.Release(); err != nil {
		t.Errorf("release of %q: %v", lock.Key(), err)
	}
}

func TestDoReleasesWhateverHappens(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	boom := errors.New("boom")
	free := func(when string) {
		t.Helper()
		lock, err := c.TryAcquire(t.Context(), "k")
		if err != nil {
			t.Fatalf("%s: the key is not free: %v", when, err)
		}
		release(t, lock)
	}
	if err := c.Do(t.Context(), "k", func(ctx context.Context) error {
		if _, err := c.TryAcquire(ctx, "k"); !errors.Is(err, ErrHeld) {
			t.Errorf("inside Do the key is not held: %v", err)
		}
		return nil
	}); err != nil {
		t.Errorf("Do: %v", err)
	}
	free("after success")
	if err := c.Do(t.Context(), "k", func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Do: %v, want boom", err)
	}
	free("after an error")
	func() {
		defer func() {
			if r := recover(); r != "panic" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = c.Do(t.Context(), "k", func(context.Context) error { panic("panic") })
	}()
	free("after a panic")
}

func TestDoEndsItsContextWithTheHoldOrTheCaller(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	boom := errors.New("boom")
	err := c.Do(t.Context(), "k", func(ctx context.Context) error {
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrExpired) {
			t.Errorf("cause %v, want ErrExpired", cause)
		}
		return boom
	}, Expires(50*time.Millisecond), NoRenew())
	if !errors.Is(err, boom) || !errors.Is(err, ErrNotHeld) {
		t.Errorf("%v, want the function's error and ErrNotHeld", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Do(ctx, "k", func(inner context.Context) error {
		cancel()
		<-inner.Done()
		return nil
	}); err != nil {
		t.Errorf("Do after its caller's cancellation: %v", err)
	}
}

func TestLocker(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	l, hasty := c.Locker("k", Timeout(patience)), c.Locker("k", Timeout(50*time.Millisecond))
	l.Lock()
	if _, err := c.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrTimeout) {
		t.Errorf("the key is not held: %v", err)
	}
	panics := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", what)
			}
		}()
		f()
	}
	panics("Lock of a held key after its timeout", hasty.Lock)
	l.Unlock()
	panics("Unlock of an unlocked Locker", l.Unlock)
	l.Lock()
	if c.Stats().Holds != 2 {
		t.Error("the Locker did not lock again")
	}
	l.Unlock()
}

func TestReleaseWorksAfterTheCallersContextEnded(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	type label struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), label{}, "mine"))
	lock, err := c.Acquire(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	held := lock.Context()
	cancel()
	if held.Err() != nil || held.Value(label{}) != "mine" {
		t.Errorf("the hold's context: %v, value %v", held.Err(), held.Value(label{}))
	}
	release(t, lock)
	if !errors.Is(context.Cause(held), context.Canceled) || errors.Is(context.Cause(held), ErrLost) {
		t.Errorf("cause after a release: %v, want plain context.Canceled", context.Cause(held))
	}
	if lock.Context() != held {
		t.Error("Context gave another context")
	}
	if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
		t.Errorf("second release: %v, want ErrNotHeld", err)
	}
	if err := lock.Extend(time.Second); !errors.Is(err, ErrNotHeld) {
		t.Errorf("extend after release: %v, want ErrNotHeld", err)
	}
}

func TestExtendMovesTheDeadlineForwardOnly(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := openClient(t, Config{Backend: b.open(t)})
			lock := acquire(t, c, "k", Expires(2*time.Second))
			first := lock.Deadline()
			if err := lock.Extend(MinExpires); err != nil {
				t.Errorf("a short extend: %v", err)
			}
			if d := lock.Deadline().Sub(first).Abs(); d > time.Millisecond {
				t.Errorf("a short extend moved the deadline by %v", d)
			}
			before := time.Now()
			if err := lock.Extend(time.Minute); err != nil {
				t.Fatalf("a long extend: %v", err)
			}
			if d := lock.Deadline(); d.Before(before.Add(59*time.Second)) || d.After(time.Now().Add(time.Minute)) {
				t.Errorf("the deadline is in %v, want a minute", time.Until(d))
			}
			// Beside the old deadline: the backend's lease has moved as well.
			rival := openClient(t, Config{Backend: c.cfg.Backend})
			if _, err := rival.Acquire(t.Context(), "k", Timeout(2500*time.Millisecond)); !errors.Is(err, ErrTimeout) {
				t.Errorf("a rival got %v, want ErrTimeout", err)
			}
			release(t, lock)
		})
	}
}

func TestMaxHoldEndsARenewedHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Config{})
		start := time.Now()
		lock := mustAcquire(t, c, "k", Expires(100*time.Millisecond), Renew(), MaxHold(350*time.Millisecond))
		<-lock.Context().Done()
		if cause := context.Cause(lock.Context()); !errors.Is(cause, ErrExpired) {
			t.Errorf("cause %v, want ErrExpired", cause)
		}
		if d := time.Since(start); d != 350*time.Millisecond {
			t.Errorf("ended after %v, want 350 ms", d)
		}
	})
}

func TestTheNextHasAnExpiredKeyWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		idle := mustAcquire(t, one, "k", Expires(300*time.Millisecond))
		for _, waiter := range []<-chan grant{acquireLater(t, one, "k"), acquireLater(t, two, "k")} {
			next := <-waiter
			if late := next.at.Sub(idle.Deadline()); late < 0 || late > time.Second {
				t.Errorf("the next waiter got the key %v after the deadline", late)
			}
			if err := next.lock.Release(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestATimeoutSaysWhy(t *testing.T) {
	t.Parallel()
	url := "embedded://" + t.Name()
	holder := openClient(t, Config{Backend: url, Owner: "the holder"})
	waiter := openClient(t, Config{Backend: url, Owner: "the waiter"})
	lock := acquire(t, holder, "k")

	_, err := waiter.Acquire(t.Context(), "k", Timeout(60*time.Millisecond))
	var why *WaitError
	if !errors.As(err, &why) || !errors.Is(err, ErrTimeout) || errors.Is(err, ErrUnavailable) {
		t.Fatalf("%v, want a WaitError that is ErrTimeout only", err)
	}
	if why.Key != "k" || why.Holder != "the holder" || why.Place != 1 || why.Queue != 1 || why.Local || why.Waited < 60*time.Millisecond {
		t.Errorf("%+v", *why)
	}
	for _, part := range []string{`"k"`, "place 1 of 1 in this process", "process 1 in line", "held by the holder", "turnstile: timeout"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	_, err = waiter.Acquire(ctx, "k")
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a ctx deadline: %v, want ErrTimeout and context.DeadlineExceeded", err)
	}

	start := time.Now()
	_, err = holder.TryAcquire(t.Context(), "k")
	if !errors.As(err, &why) || !why.Local || why.Holder != "the holder" {
		t.Errorf("a local try: %v", err)
	}
	if _, err := waiter.TryAcquire(t.Context(), "k"); !errors.Is(err, ErrTimeout) {
		t.Errorf("a remote try: %v", err)
	}
	if d := time.Since(start); d > patience/2 {
		t.Errorf("two tries took %v", d)
	}
	release(t, lock)

	done, cancelled := context.WithCancel(t.Context())
	cancelled()
	if _, err := waiter.Acquire(done, "k"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
		t.Errorf("a ctx that has ended: %v, want context.Canceled only", err)
	}
}

func TestInspect(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			holder := openClient(t, Config{Backend: url, Owner: "the holder"})
			other := openClient(t, Config{Backend: url, Owner: "the other"})
			info, err := other.Inspect(t.Context(), "k")
			if err != nil || info.Held || info.Holder != nil || info.Fence != nil {
				t.Errorf("a free key: %+v, %v", info, err)
			}
			before := time.Now()
			lock := acquire(t, holder, "k", Expires(time.Hour))
			for _, c := range []*Client{holder, other} {
				info, err := c.Inspect(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				if !info.Held || info.Holder == nil || *info.Holder != "the holder" || info.Fence == nil || *info.Fence>>10 != lock.Fence()>>10 {
					t.Errorf("%s sees %+v", c.cfg.Owner, info)
				}
				if info.HeldFor == nil || *info.HeldFor < 0 || *info.HeldFor > time.Since(before)+time.Second {
					t.Errorf("%s sees it held for %v", c.cfg.Owner, info.HeldFor)
				}
				if c == other && b.untold {
					if info.ExpiresIn != nil {
						t.Errorf("nobody can know that it ends in %v", *info.ExpiresIn)
					}
				} else if info.ExpiresIn == nil || *info.ExpiresIn < 50*time.Minute || *info.ExpiresIn > 62*time.Minute {
					t.Errorf("%s sees it expire in %v", c.cfg.Owner, info.ExpiresIn)
				}
				if text, err := json.Marshal(info); err != nil || !strings.Contains(string(text), fmt.Sprintf(`"fence":"%d"`, *info.Fence)) {
					t.Errorf("JSON: %s, %v", text, err)
				}
			}
			keys := slices.Collect(holder.Keys())
			if len(keys) != 1 || keys[0].Key != "k" || !keys[0].Held {
				t.Errorf("Keys: %+v", keys)
			}
			if s := holder.Stats(); s.Holds != 1 || s.LiveKeys != 1 || s.BackendCalls == 0 {
				t.Errorf("Stats: %+v", s)
			}
			release(t, lock)
		})
	}
	c := openClient(t, Config{Backend: "open://"})
	info, err := c.Inspect(t.Context(), "k")
	if err != nil || info.Holder != nil || info.Processes != nil {
		t.Errorf("what open:// can't know: %+v, %v", info, err)
	}
	if _, err := c.Inspect(t.Context(), ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("an empty key: %v", err)
	}
}

// What is not known is absent, and a key that is no UTF-8 can still be told.
func TestAnInfoAsJSON(t *testing.T) {
	t.Parallel()
	fence, holder := uint64(1)<<62+1, "a:1"
	held, none := 29721921*time.Microsecond, 0
	for want, info := range map[string]Info{
		`{"key":"k","held":false}`: {Key: "k"},
		`{"key":"k","held":true,"holder":"a:1","fence":"4611686018427387905","held_for_seconds":29.721,"local_waiters":2,"waiting_processes":0,"waiters":[],"kind":"exclusive"}`: {
			Key: "k", Held: true, Holder: &holder, Fence: &fence, HeldFor: &held, Local: 2, Processes: &none, Waiters: []Waiter{}},
		`{"key":"k","held":true,"waiters":[{"label":"a:1","waiting_for_seconds":29.721,"kind":"slots","slots":3},{"kind":"exclusive"}],"kind":"exclusive"}`: {
			Key: "k", Held: true, Waiters: []Waiter{{Label: &holder, For: &held, Kind: KindSlots, Slots: 3}, {}}},
		`{"key":"k","held":true,"kind":"slots","out":2,"slots":3,"holders":[{"label":"a:1","fence":"4611686018427387905","held_for_seconds":29.721,"slots":2,"revoked":true},{"fence":"1024","expires_in_seconds":29.721}]}`: {
			Key: "k", Held: true, Kind: KindSlots, Out: 2, Slots: 3, Holders: []Holder{{Label: &holder, Fence: fence, HeldFor: &held, Slots: 2, Revoked: true}, {Fence: 1024, ExpiresIn: &held}}},
		`{"key":"\ufffdx","key_base64":"/3g=","held":true,"revoked":true,"foreign":true,"kind":"exclusive"}`: {Key: "\xffx", Held: true, Revoked: true, Foreign: true},
	} {
		if got, err := json.Marshal(info); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
