package lockclient

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
)

// Two processes pass a key to and fro, in holds as long as a gap: wherever in a hold
// the gap begins, a client that polls somewhat more often than that gets in.
func TestAPollerGetsInBesideHoldsAsLongAsAGap(t *testing.T) {
	const gap = 100 * time.Millisecond
	const cycle = 11 * gap
	for tenth := range 10 {
		t.Run(fmt.Sprintf("%d tenths", tenth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// A fair store: a release gives the key to whoever is in its queue.
				cfg := Config{PollerGap: gap, Backend: "embedded://" + t.Name(), KeyPrefix: NoPrefix}
				clients := []*Client{openClient(t, cfg), openClient(t, cfg)}
				s := embedded.Open(t.Name())
				defer s.Close()
				time.Sleep(untilGap(gap) + time.Duration(tenth)*gap/10) // virtual: where in a hold the next gap begins
				stop := make(chan struct{})
				var wg sync.WaitGroup
				for i := range 2 * len(clients) {
					wg.Go(func() { // ends with stop
						for {
							lock := acquire(t, clients[i%2], "k")
							time.Sleep(gap) // virtual
							release(t, lock)
							select {
							case <-stop:
								return
							default:
							}
						}
					})
				}
				time.Sleep(cycle / 2) // virtual: both have met the key
				poller := backends.Attempt{Key: "k", Token: backends.NewSession().Token(1)}
				began, had := time.Now(), false
				for !had && time.Since(began) < 3*cycle {
					time.Sleep(gap * 7 / 10) // virtual
					reply, err := s.Acquire(t.Context(), backends.Request{Attempt: poller, TTL: time.Minute})
					if err != nil {
						t.Fatal(err)
					}
					had = reply.Outcome == backends.Granted
				}
				if took := time.Since(began); !had || took > 2*cycle {
					t.Errorf("the poller got in: %t, after %v; want it within two cycles of %v", had, took, cycle)
				}
				if had {
					if err := s.Release(t.Context(), poller); err != nil {
						t.Error(err)
					}
				}
				close(stop)
				wg.Wait()
			})
		})
	}
}
