package lockclient

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A set is what AcquireAll returned.
type set struct {
	at    time.Time
	locks *Locks
	err   error
}

func acquireAllLater(ctx context.Context, c *Client, keys []string, opts ...Option) <-chan set {
	got := make(chan set, 1)
	go func() { // ends with the acquire
		locks, err := c.AcquireAll(ctx, keys, opts...)
		got <- set{time.Now(), locks, err}
	}()
	return got
}

// It holds a and waits a minute for b, with holds of 10 s.
func TestASetHasItsFullTimeWhenItIsThere(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		opts []Option
		want time.Duration // from the return to the end
		end  error         // nil: it is renewed
	}{
		{"not renewed", []Option{Expires(10 * time.Second)}, 10 * time.Second, ErrExpired},
		{"renewed", []Option{Expires(10 * time.Second), Renew()}, 10 * time.Second, nil},
		{"with a MaxHold", []Option{Expires(10 * time.Second), Renew(), MaxHold(15 * time.Second)}, 15 * time.Second, ErrExpired},
		{"with a short MaxHold", []Option{Expires(10 * time.Second), Renew(), MaxHold(5 * time.Second)}, 5 * time.Second, ErrExpired},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one, two := pair(t, Config{})
				b := mustAcquire(t, two, "b", Renew())
				sets := acquireAllLater(context.Background(), one, []string{"b", "a"}, append(row.opts, Timeout(Forever))...)
				time.Sleep(time.Minute) // virtual
				synctest.Wait()
				if _, err := two.TryAcquire(context.Background(), "a"); !errors.Is(err, ErrHeld) {
					t.Fatalf("a was not renewed: %v", err)
				}
				release(t, b)
				s := <-sets
				if s.err != nil {
					t.Fatal(s.err)
				}
				defer s.locks.Release()
				for _, l := range s.locks.locks {
					if left := l.Deadline().Sub(s.at); left < min(row.want, 10*time.Second) {
						t.Errorf("%s has %v left on return", l.Key(), left)
					}
				}
				if row.end == nil {
					time.Sleep(time.Minute) // virtual
					if err := s.locks.Context().Err(); err != nil {
						t.Errorf("it was not renewed: %v", context.Cause(s.locks.Context()))
					}
					return
				}
				select {
				case <-s.locks.Context().Done():
				case <-time.After(time.Hour): // virtual
					t.Fatal("it does not end")
				}
				if lasted := time.Since(s.at); lasted < row.want || lasted > row.want+time.Second {
					t.Errorf("it lasted for %v, want %v", lasted, row.want)
				}
				if cause := context.Cause(s.locks.Context()); !errors.Is(cause, row.end) {
					t.Errorf("it ended by %v", cause)
				}
			})
		})
	}
}

// Two sets are named in opposite order while a is held and b is quiet.
func TestSetsAreTakenInOneOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		a := mustAcquire(t, two, "a", Renew())
		first := acquireAllLater(context.Background(), one, []string{"a", "b"})
		second := acquireAllLater(context.Background(), one, []string{"b", "a", "b"})
		time.Sleep(time.Second) // virtual
		synctest.Wait()
		b, err := two.TryAcquire(context.Background(), "b")
		if err != nil {
			t.Fatalf("one of them took b before a: %v", err)
		}
		release(t, b)
		release(t, a)
		for range 2 {
			var s set
			select {
			case s = <-first:
			case s = <-second:
			}
			if s.err != nil {
				t.Fatal(s.err)
			}
			if err := s.locks.Release(); err != nil {
				t.Error(err)
			}
		}
	})
}

// The error of a set names the key that was not to be had, and what was had is free.
func TestASetThatIsNotToBeHad(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, row := range []struct {
		name  string
		keys  []string
		opts  []Option
		ctx   context.Context
		then  func(t *testing.T, one, two *Client) // once it waits for b
		want  []error
		never []error
		says  string
	}{
		{name: "no keys", want: []error{ErrInvalid}, says: "no keys"},
		{name: "a bad key", keys: []string{"a", ""}, want: []error{ErrInvalid}, says: "empty key"},
		{name: "a bad option", keys: []string{"a"}, opts: []Option{Timeout(-1)}, want: []error{ErrInvalid}, says: "negative"},
		{name: "its time is over", keys: []string{"a", "b"}, opts: []Option{Timeout(3 * time.Second)}, want: []error{ErrTimeout, ErrHeld}, says: `key "b" not acquired in 3s`},
		{name: "one try", keys: []string{"a", "b"}, opts: []Option{Timeout(0)}, want: []error{ErrTimeout, ErrHeld}, says: `key "b"`},
		{
			name: "its ctx has ended", keys: []string{"a", "b"}, ctx: canceled,
			want: []error{context.Canceled}, never: []error{ErrTimeout}, says: `key "a"`,
		},
		{
			name: "a hold is revoked meanwhile", keys: []string{"a", "b"},
			then: func(t *testing.T, _, two *Client) { mustRevoke(t, two, "a", Revocation{}, Marked) },
			want: []error{ErrLost, ErrRevoked}, never: []error{ErrTimeout, context.Canceled}, says: `while key "b" was waited for: key "a"`,
		},
		{
			name: "the client is closed", keys: []string{"a", "b"},
			then: func(t *testing.T, one, _ *Client) { one.Close() },
			want: []error{ErrClosed}, never: []error{ErrTimeout, context.Canceled}, says: "key",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one, two := pair(t, Config{})
				b := mustAcquire(t, two, "b", Renew())
				defer release(t, b)
				ctx := row.ctx
				if ctx == nil {
					ctx = context.Background()
				}
				sets := acquireAllLater(ctx, one, row.keys, row.opts...)
				if row.then != nil {
					time.Sleep(time.Second) // virtual
					synctest.Wait()
					row.then(t, one, two)
				}
				s := <-sets
				if s.locks != nil || s.err == nil || !strings.Contains(s.err.Error(), row.says) || strings.Count(s.err.Error(), "turnstile:") != 1 {
					t.Errorf("%v, which does not say %q", s.err, row.says)
				}
				for _, want := range row.want {
					if !errors.Is(s.err, want) {
						t.Errorf("%v is no %v", s.err, want)
					}
				}
				for _, never := range row.never {
					if errors.Is(s.err, never) {
						t.Errorf("%v is %v", s.err, never)
					}
				}
				synctest.Wait()
				a, err := two.TryAcquire(context.Background(), "a")
				if err != nil {
					t.Fatalf("a was not given back: %v", err)
				}
				release(t, a)
			})
		})
	}
}

// A set waits 2 s for a, and then for b: the timeout is one.
func TestASetHasOneTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		a, b := mustAcquire(t, two, "a", Renew()), mustAcquire(t, two, "b", Renew())
		begin := time.Now()
		sets := acquireAllLater(context.Background(), one, []string{"a", "b"}, Timeout(3*time.Second))
		time.Sleep(2 * time.Second) // virtual
		release(t, a)
		s := <-sets
		var why *WaitError
		if !errors.As(s.err, &why) || why.Key != "b" || why.Waited < 3*time.Second {
			t.Errorf("%v", s.err)
		}
		if waited := s.at.Sub(begin); waited < 3*time.Second || waited > 3250*time.Millisecond {
			t.Errorf("it waited for %v", waited)
		}
		release(t, b)
	})
}

// A backend that is away when the last key is had: the set has not its full time.
func TestASetWhoseLeasesCantBeProlonged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		fake := newFake(s, 1, faults{})
		c, err := New(fake, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b := mustAcquire(t, c, "b", Renew(), Expires(time.Hour))
		sets := acquireAllLater(context.Background(), c, []string{"a", "b"}, Expires(time.Minute), Timeout(12*time.Second))
		time.Sleep(11 * time.Second) // virtual
		synctest.Wait()
		fake.kill(true)
		release(t, b) // handed on: no call is needed
		begin := time.Now()
		got := <-sets
		if got.locks != nil || !errors.Is(got.err, ErrUnavailable) || !errors.Is(got.err, ErrTimeout) {
			t.Errorf("%v", got.err)
		}
		if late := time.Since(begin) - time.Second; late > 250*time.Millisecond {
			t.Errorf("it was told %v after its timeout", late)
		}
		fake.kill(false)
	})
}

// One hold of a set is lost.
func TestASetEndsWithTheFirstThatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := pair(t, Config{})
		type mark struct{}
		parent, cancel := context.WithCancel(context.WithValue(context.Background(), mark{}, 1))
		locks, err := one.AcquireAll(parent, []string{"c", "a", "b", "a"}, Renew())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		ctx := locks.Context()
		if ctx.Err() != nil || ctx.Value(mark{}) != 1 {
			t.Errorf("its context has ended with its acquire's, or lacks the values: %v", ctx.Err())
		}
		for _, key := range []string{"a", "b", "c"} {
			if _, err := one.Acquire(ctx, key); !errors.Is(err, ErrDeadlock) {
				t.Errorf("acquire of %q within: %v", key, err)
			}
			if _, err := one.AcquireAll(ctx, []string{"d", key}); !errors.Is(err, ErrDeadlock) {
				t.Errorf("set with %q within: %v", key, err)
			}
			if locks.Fence(key) == 0 {
				t.Errorf("%q has no fence", key)
			}
		}
		if locks.Fence("d") != 0 {
			t.Error("d has a fence")
		}
		time.Sleep(time.Second) // virtual
		if d := locks.locks[1].hold.Extend(time.Hour); d != nil {
			t.Fatal(d)
		}
		least := slices.MinFunc(locks.locks, func(a, b *Lock) int { return a.Deadline().Compare(b.Deadline()) })
		if d := locks.Deadline(); !d.Equal(least.Deadline()) || d.After(time.Now().Add(20*time.Second)) {
			t.Errorf("the deadline is %v from now", time.Until(d))
		}
		mustRevoke(t, two, "b", Revocation{}, Marked)
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour): // virtual
			t.Fatal("its context does not end")
		}
		if cause := context.Cause(ctx); !errors.Is(cause, ErrRevoked) || !strings.Contains(cause.Error(), `"b"`) {
			t.Errorf("it ended by %v", cause)
		}
		if a := locks.locks[0].Context(); a.Err() != nil {
			t.Errorf("a has ended, too: %v", context.Cause(a))
		}
		if err := locks.Release(); !errors.Is(err, ErrRevoked) || !strings.Contains(err.Error(), `"b"`) || strings.Contains(err.Error(), `"a"`) {
			t.Errorf("release: %v", err)
		}
		if err := locks.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("second release: %v", err)
		}
		for _, key := range []string{"a", "b", "c"} {
			l, err := two.TryAcquire(context.Background(), key)
			if err != nil {
				t.Errorf("%q was not released: %v", key, err)
			}
			l.Release()
		}
	})
}

func TestASetThatIsReleased(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{})
	locks, err := c.AcquireAll(t.Context(), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := locks.Context()
	if err := locks.Release(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("its context does not end")
	}
	if cause := context.Cause(ctx); cause != context.Canceled {
		t.Errorf("it ended by %v", cause)
	}
}

func TestANilSet(t *testing.T) {
	t.Parallel()
	var s *Locks
	if s.Fence("a") != 0 || !s.Deadline().IsZero() || !errors.Is(s.Release(), ErrNotHeld) || !errors.Is(context.Cause(s.Context()), ErrNotHeld) {
		t.Error("a nil *Locks is no set that has ended")
	}
}
