package lockclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// kindBackends are those that keep shared holds and slots.
var kindBackends = exclusiveBackends[:3]

func acquired(t *testing.T, c *Client, key string, opts ...Option) *Lock {
	t.Helper()
	l, err := c.Acquire(t.Context(), key, opts...)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return l
}

func released(t *testing.T, locks ...*Lock) {
	t.Helper()
	for _, l := range locks {
		if err := l.Release(); err != nil {
			t.Errorf("release: %v", err)
		}
	}
}

// refusedAsHeld checks that one try of a key is answered with ErrHeld, and returns the error.
func refusedAsHeld(t *testing.T, c *Client, key string, opts ...Option) error {
	t.Helper()
	l, err := c.TryAcquire(t.Context(), key, opts...)
	if err == nil {
		t.Errorf("it got a key that is held otherwise")
		released(t, l)
	} else if !errors.Is(err, ErrHeld) {
		t.Errorf("%v, want ErrHeld", err)
	}
	return err
}

// TestKindsThatCantBe is of what is refused before anything is asked.
func TestKindsThatCantBe(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "embedded://" + t.Name()})
	for name, opts := range map[string][]Option{
		"both":               {Shared(), Slots(2)},
		"no slots":           {Slots(0)},
		"fewer":              {Slots(-1)},
		"too many":           {Slots(MaxSlots + 1)},
		"far too many":       {Slots(1<<32 + 1)},
		"shared at least":    {Shared(), AtLeast(time.Second)},
		"slots at least":     {AtLeast(time.Second), Slots(2)},
		"no slots, at least": {AtLeast(time.Second), Slots(0)},
	} {
		l, err := c.Acquire(t.Context(), "k", opts...)
		if !errors.Is(err, ErrInvalid) || l != nil {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for _, opt := range []Option{Shared(), Slots(1)} {
		err := c.Lead(t.Context(), "k", func(context.Context, uint64) error { t.Error("it leads"); return nil }, opt)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("lead: %v, want ErrInvalid", err)
		}
	}
	if n := c.Stats().BackendCalls; n != 0 {
		t.Errorf("%d calls of the backend", n)
	}
	if err := (*Lock)(nil).Downgrade(); err != ErrNotHeld {
		t.Errorf("of a nil Lock: %v", err)
	}
}

// TestABackendOfExclusiveHoldsSaysSo, and names those that can.
func TestABackendOfExclusiveHoldsSaysSo(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"open://", servertest.Memcached(t).URL()} {
		c := openClient(t, Config{Backend: url})
		for _, opt := range []Option{Shared(), Slots(2)} {
			_, err := c.TryAcquire(t.Context(), "k", opt)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "exclusive holds only: embedded://, file:// and redis://") {
				t.Errorf("%s: %v", url, err)
			}
		}
		l := acquired(t, c, "k")
		if err := l.Downgrade(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: downgrade: %v", url, err)
		}
		released(t, l)
	}
}

// TestKindsOverlapWhatTheySay, within a client and between two.
func TestKindsOverlapWhatTheySay(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			a, other := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			for _, second := range []*Client{a, other} {
				reader := acquired(t, a, "k", Shared())
				released(t, acquired(t, second, "k", Shared()))
				refusedAsHeld(t, second, "k")
				refusedAsHeld(t, second, "k", Slots(9))
				released(t, reader)

				one := acquired(t, a, "k", Slots(2))
				two := acquired(t, second, "k", Slots(2))
				refusedAsHeld(t, a, "k", Slots(2))
				refusedAsHeld(t, second, "k", Slots(2))
				refusedAsHeld(t, second, "k", Slots(1))
				refusedAsHeld(t, second, "k", Shared())
				refusedAsHeld(t, second, "k")
				three := acquired(t, second, "k", Slots(3)) // judged by its own word
				refusedAsHeld(t, a, "k", Slots(3))
				released(t, two, one)
				refusedAsHeld(t, a, "k", Slots(1))
				released(t, acquired(t, a, "k", Slots(2)), three)

				writer := acquired(t, second, "k")
				refusedAsHeld(t, a, "k", Shared())
				refusedAsHeld(t, a, "k", Slots(10_000))
				released(t, writer)
			}
		})
	}
}

// TestAFenceOfASharedHoldIsBetweenThoseOfTheExclusiveOnes, and unique.
func TestAFenceOfASharedHoldIsBetweenThoseOfTheExclusiveOnes(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			a, other := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			last := uint64(0)
			for range 3 {
				writer := acquired(t, a, "k")
				if writer.Fence() <= last {
					t.Errorf("fence %d of an exclusive hold after %d", writer.Fence(), last)
				}
				last = writer.Fence()
				released(t, writer)
				readers := []*Lock{
					acquired(t, a, "k", Shared()), acquired(t, other, "k", Shared()), acquired(t, a, "k", Shared()), acquired(t, other, "k", Shared()),
				}
				before := last
				for _, r := range readers {
					if r.Fence() <= before {
						t.Errorf("fence %d of a shared hold after %d", r.Fence(), before)
					}
					last = max(last, r.Fence())
				}
				if readers[0].Fence() == readers[2].Fence() || readers[1].Fence() == readers[3].Fence() {
					t.Error("two holds of a process have one fence")
				}
				released(t, readers...)
			}
		})
	}
}

// TestANestedSharedHoldPassesThoseWhoWait: a writer of this process, and one of another.
// (attack 30)
func TestANestedSharedHoldPassesThoseWhoWait(t *testing.T) {
	for _, b := range kindBackends {
		for _, elsewhere := range []bool{false, true} {
			t.Run(b.name+map[bool]string{false: "/here", true: "/elsewhere"}[elsewhere], func(t *testing.T) {
				t.Parallel()
				url := b.open(t)
				c := openClient(t, Config{Backend: url, Timeout: patience})
				writers := c
				if elsewhere {
					writers = openClient(t, Config{Backend: url, Timeout: patience})
				}
				reader := acquired(t, c, "k", Shared(), Renew())
				wrote := make(chan error, 1)
				go func() { // ends when the readers have let go
					l, err := writers.Acquire(context.Background(), "k")
					if err == nil {
						err = l.Release()
					}
					wrote <- err
				}()
				eventually(t, "the writer waits", func() bool { return writers.Stats().Waiters == 1 })
				select {
				case <-reader.Wanted(): // here and elsewhere
				case <-time.After(patience):
					t.Fatal("nobody told that the writer waits")
				}
				// Who comes waits behind it, once the time is over in which this process may go on.
				eventually(t, "others who read wait", func() bool {
					l, err := c.TryAcquire(t.Context(), "k", Shared())
					if err == nil {
						released(t, l)
					}
					return errors.Is(err, ErrHeld)
				})
				inner, err := c.Acquire(reader.Context(), "k", Shared())
				if err != nil {
					t.Fatalf("nested: %v", err)
				}
				innermost, err := c.Acquire(inner.Context(), "k", Shared())
				if err != nil {
					t.Fatalf("nested twice: %v", err)
				}
				for _, opts := range [][]Option{nil, {Slots(9)}} {
					if _, err := c.Acquire(inner.Context(), "k", opts...); !errors.Is(err, ErrDeadlock) {
						t.Errorf("another kind within a shared hold: %v", err)
					}
				}
				released(t, reader, innermost) // in any order
				select {
				case err := <-wrote:
					t.Errorf("the writer came beside a reader: %v", err)
				default:
				}
				released(t, inner)
				if err := <-wrote; err != nil {
					t.Errorf("writer: %v", err)
				}
			})
		}
	}
}

// TestAHoldWithinAnotherOfItsKeyIsADeadlock, unless it can be granted at once.
func TestAHoldWithinAnotherOfItsKeyIsADeadlock(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			c := openClient(t, Config{Backend: url, Timeout: patience})
			within := func(l *Lock, opts ...Option) error {
				inner, err := c.Acquire(l.Context(), "k", opts...)
				if err == nil {
					released(t, inner)
				}
				return err
			}
			one := acquired(t, c, "k", Slots(1))
			for _, opts := range [][]Option{{Slots(1)}, {Shared()}, nil} {
				if err := within(one, opts...); !errors.Is(err, ErrDeadlock) || !errors.Is(err, ErrHeld) {
					t.Errorf("within Slots(1): %v", err)
				}
			}
			released(t, one)
			writer := acquired(t, c, "k")
			for _, opts := range [][]Option{{Slots(9)}, {Shared()}, nil} {
				if err := within(writer, opts...); !errors.Is(err, ErrDeadlock) {
					t.Errorf("within an exclusive hold: %v", err)
				}
			}
			// At once, though another key of the set would be waited for first.
			a := acquired(t, openClient(t, Config{Backend: url}), "a", Renew())
			for _, opts := range [][]Option{{Shared()}, nil} {
				if _, err := c.AcquireAll(writer.Context(), []string{"a", "k"}, opts...); !errors.Is(err, ErrDeadlock) {
					t.Errorf("a set within: %v", err)
				}
			}
			released(t, a)
			if err := writer.Downgrade(); err != nil {
				t.Fatalf("downgrade: %v", err)
			}
			if err := within(writer, Shared()); err != nil {
				t.Errorf("within a hold that is shared now: %v", err)
			}
			set, err := c.AcquireAll(writer.Context(), []string{"a", "k"}, Shared())
			if err != nil {
				t.Errorf("a shared set within: %v", err)
			} else if err := set.Release(); err != nil {
				t.Error(err)
			}
			released(t, writer)
		})
	}
}

// TestADowngradeLetsReadersIn, those of this client and of another, and no writers.
func TestADowngradeLetsReadersIn(t *testing.T) {
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			a, other := openClient(t, Config{Backend: url, Timeout: patience}), openClient(t, Config{Backend: url, Timeout: patience})
			writer := acquired(t, a, "k", Renew())
			fence := writer.Fence()
			reads := make(chan *Lock, 3)
			for _, c := range []*Client{a, other} {
				go func() { // ends with the downgrade
					l, err := c.Acquire(context.Background(), "k", Shared(), Renew())
					if err != nil {
						t.Errorf("reader: %v", err)
					}
					reads <- l
				}()
				eventually(t, "the reader waits", func() bool { return c.Stats().Waiters == 1 })
			}
			if err := writer.Downgrade(); err != nil {
				t.Fatalf("downgrade: %v", err)
			}
			one, two := <-reads, <-reads
			refusedAsHeld(t, a, "k")
			refusedAsHeld(t, other, "k")
			if err := writer.Downgrade(); err != nil {
				t.Errorf("again: %v", err)
			}
			if err := one.Downgrade(); err != nil {
				t.Errorf("of a shared hold: %v", err)
			}
			if writer.Fence() != fence || writer.Context().Err() != nil {
				t.Errorf("fence %d was %d; %v", writer.Fence(), fence, context.Cause(writer.Context()))
			}
			if one.Fence() <= fence || two.Fence() <= fence {
				t.Errorf("fences %d and %d of readers, after %d", one.Fence(), two.Fence(), fence)
			}
			released(t, writer)
			refusedAsHeld(t, other, "k")
			released(t, one, two)
			released(t, acquired(t, other, "k"))
			if err := writer.Downgrade(); !errors.Is(err, ErrNotHeld) {
				t.Errorf("of a hold that ended: %v", err)
			}
			slot := acquired(t, a, "k", Slots(2))
			if err := slot.Downgrade(); !errors.Is(err, ErrInvalid) {
				t.Errorf("of a slot hold: %v", err)
			}
			released(t, slot)
			resting := acquired(t, a, "rest", AtLeast(time.Millisecond))
			if err := resting.Downgrade(); !errors.Is(err, ErrInvalid) {
				t.Errorf("with AtLeast: %v", err)
			}
			released(t, resting)
		})
	}
}
