package lockclient

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A key is held, and another client waits for it and gives up; then the key is
// released. Whoever tries it next gets it: on a store of this process at the first try.
func TestNothingIsLeftOfAnAcquireThatGaveUp(t *testing.T) {
	for _, b := range exclusiveBackends {
		for _, row := range []struct {
			name string
			ctx  func() (context.Context, context.CancelFunc)
			wait time.Duration
		}{
			{"cancelled", func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(2*time.Millisecond, cancel)
				return ctx, cancel
			}, time.Minute},
			{"deadline", func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(context.Background(), 2*time.Millisecond)
			}, time.Minute},
			{"timeout", func() (context.Context, context.CancelFunc) {
				return context.WithCancel(context.Background())
			}, 2 * time.Millisecond},
		} {
			t.Run(b.name+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				rounds := 20
				if b.name == "embedded" {
					rounds = 300
				}
				url := b.open(t)
				one, two, three := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
				for range rounds {
					held := mustAcquire(t, one, "k")
					ctx, cancel := row.ctx()
					if lock, err := two.Acquire(ctx, "k", Timeout(row.wait)); err == nil {
						t.Fatalf("granted beside a hold: %v", lock.Release())
					}
					cancel()
					release(t, held)
					if b.name == "embedded" {
						lock, err := three.TryAcquire(t.Context(), "k")
						if err != nil {
							t.Fatalf("nobody has the key or waits for it: %v", err)
						}
						release(t, lock)
						continue
					}
					eventually(t, "the key is to be had", func() bool {
						lock, err := three.TryAcquire(t.Context(), "k")
						switch {
						case err == nil:
							release(t, lock)
						case !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrUnavailable):
							t.Fatal(err)
						}
						return err == nil
					})
				}
			})
		}
	}
}
