package lockclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// An acquire that would wait for its own hold says so, instead of waiting.
func TestNestedAcquireOfItsOwnKeyIsADeadlock(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{Timeout: 30 * time.Second})
	other := embeddedClient(t, Config{})
	a := acquire(t, c, "a")
	defer release(t, a)
	ctx := a.Context()
	b, err := c.Acquire(ctx, "b")
	if err != nil {
		t.Fatalf("another key under the hold: %v", err)
	}
	defer release(t, b)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), time.Hour)
	defer cancel()
	for _, row := range []struct {
		name string
		ctx  context.Context
		key  string
	}{
		{"the hold's context", ctx, "a"},
		{"the hold's context, asked for again", a.Context(), "a"},
		{"a context that comes from it", bounded, "b"},
		{"a hold within it", b.Context(), "a"},
	} {
		if lock, err := c.Acquire(row.ctx, row.key); !errors.Is(err, ErrDeadlock) || lock != nil {
			t.Fatalf("%s: acquire of %q: %v", row.name, row.key, err)
		}
		if _, err := c.TryAcquire(row.ctx, row.key); !errors.Is(err, ErrDeadlock) || !errors.Is(err, ErrHeld) {
			t.Errorf("%s: try of %q: %v", row.name, row.key, err)
		}
		if err := c.Do(row.ctx, row.key, func(context.Context) error { return nil }); !errors.Is(err, ErrDeadlock) {
			t.Errorf("%s: Do of %q: %v", row.name, row.key, err)
		}
	}
	// Another client is another process, as far as the two know.
	if _, err := other.TryAcquire(ctx, "a"); !errors.Is(err, ErrHeld) || errors.Is(err, ErrDeadlock) {
		t.Errorf("in another client: %v", err)
	}
	if st := c.Stats(); st.Waiters != 0 {
		t.Errorf("%d waiters are left", st.Waiters)
	}
}

func TestDoHandsItsHoldOn(t *testing.T) {
	t.Parallel()
	c := embeddedClient(t, Config{Timeout: 30 * time.Second})
	err := c.Do(t.Context(), "k", func(ctx context.Context) error {
		_, err := c.Acquire(ctx, "k")
		return err
	})
	if !errors.Is(err, ErrDeadlock) {
		t.Errorf("Do within Do: %v", err)
	}
}

// Once the hold has ended, its ctx is like any other.
func TestNestedAcquireAfterItsHoldHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(newFake(newStore(), 1, faults{}), Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, end := range []func(*Lock){
			func(l *Lock) { release(t, l) },
			func(*Lock) { time.Sleep(2 * time.Second) }, // virtual: it expires
		} {
			first := acquire(t, c, "k", Expires(time.Second))
			ctx := context.WithoutCancel(first.Context())
			end(first)
			second, err := c.Acquire(ctx, "k")
			if err != nil {
				t.Fatalf("the hold had ended: %v", err)
			}
			release(t, second)
		}
	})
}

// Where nobody is excluded there is nothing to wait for.
func TestNestedAcquireOverOpen(t *testing.T) {
	t.Parallel()
	c := openClient(t, Config{Backend: "open://"})
	first := acquire(t, c, "k")
	defer release(t, first)
	second, err := c.Acquire(first.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	release(t, second)
}
