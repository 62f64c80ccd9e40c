package lockclient

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// withoutAPause has goroutines of these clients take and release a key until stop is called.
func withoutAPause(t *testing.T, clients []*Client, each int, opts ...Option) (holds *atomic.Int64, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	holds = new(atomic.Int64)
	var wg sync.WaitGroup
	for _, c := range clients {
		for range each {
			wg.Go(func() { // ends with ctx
				for ctx.Err() == nil {
					l, err := c.Acquire(ctx, "k", opts...)
					if ctx.Err() != nil {
						if err == nil {
							l.Release()
						}
						return
					}
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
					holds.Add(1)
					if err := l.Release(); err != nil {
						t.Errorf("release: %v", err)
						return
					}
				}
			})
		}
	}
	var once sync.Once
	return holds, func() {
		once.Do(func() {
			cancel()
			wg.Wait()
		})
	}
}

// TestNobodyStarvesUnderAnotherKind: a writer under 64 readers that never pause, a reader under writers, a caller of
// few slots under callers of many. Each comes from a process of its own, and from one of theirs.
func TestNobodyStarvesUnderAnotherKind(t *testing.T) {
	for _, b := range kindBackends {
		for name, row := range map[string]struct{ many, one []Option }{
			"writer":    {[]Option{Shared()}, nil},
			"reader":    {nil, []Option{Shared()}},
			"few slots": {[]Option{Slots(5)}, []Option{Slots(2)}},
			"slots":     {[]Option{Shared()}, []Option{Slots(3)}},
		} {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				url := b.open(t)
				var clients []*Client
				for range 3 {
					clients = append(clients, openClient(t, Config{Backend: url, Timeout: patience}))
				}
				holds, stop := withoutAPause(t, clients[:2], 32, row.many...)
				defer stop()
				eventually(t, "they are at it", func() bool { return holds.Load() > 100 })
				for i := range 12 {
					before := holds.Load()
					l, err := clients[1+i%2].Acquire(t.Context(), "k", row.one...)
					if err != nil {
						t.Fatalf("after %d holds of the others: %v", holds.Load()-before, err)
					}
					if err := l.Release(); err != nil {
						t.Fatal(err)
					}
				}
				before := holds.Load()
				eventually(t, "the others go on", func() bool { return holds.Load() > before+100 })
				stop()
				wantFreeOf(t, clients[2])
			})
		}
	}
}

// wantFreeOf checks that a key that nobody wants is free.
func wantFreeOf(t *testing.T, c *Client) {
	t.Helper()
	eventually(t, "the key is free", func() bool {
		l, err := c.TryAcquire(context.Background(), "k")
		return err == nil && l.Release() == nil
	})
}

// TestSharingMakesNoCalls: 64 goroutines that join and follow one another in one client, whom nobody else disturbs.
func TestSharingMakesNoCalls(t *testing.T) {
	for _, b := range kindBackends {
		for name, opt := range map[string]Option{"shared": Shared(), "slots": Slots(4)} {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := openClient(t, Config{Backend: b.open(t), Expires: time.Minute})
				keep := acquired(t, c, "k", opt) // the share stays though a goroutine may be alone for a moment
				before := c.Stats().BackendCalls
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() { // ends with its rounds
						for range 500 {
							l, err := c.Acquire(t.Context(), "k", opt)
							if err == nil {
								err = l.Release()
							}
							if err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				calls := c.Stats().BackendCalls - before
				t.Logf("%d calls", calls)
				// A share is renewed after 1023 holds, and before its time is over. A slot that nobody wants for a moment goes back.
				if most := map[string]float64{"shared": 1600, "slots": 6400}[name]; float64(calls) > most {
					t.Errorf("%d calls of the backend for 32 000 holds", calls)
				}
				released(t, keep)
			})
		}
	}
}
