package interop

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// hot keeps a key busy with goroutines of all the clients until stop, which tells
// how many holds there were.
func hot(t *testing.T, clients []*lockclient.Client, section time.Duration) (stop func() int) {
	t.Helper()
	const goroutines = 16
	ctx, cancel := context.WithCancel(t.Context())
	counts, failures := make([]int, goroutines), make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				lock, err := clients[i%len(clients)].Acquire(ctx, key)
				if err != nil {
					if ctx.Err() == nil {
						failures[i] = err
					}
					return
				}
				time.Sleep(section)
				if failures[i] = lock.Release(); failures[i] != nil {
					return
				}
				counts[i]++
			}
		})
	}
	return sync.OnceValue(func() (n int) {
		cancel()
		wg.Wait()
		if err := errors.Join(failures...); err != nil {
			t.Errorf("a hold of ours: %v", err)
		}
		for _, count := range counts {
			n += count
		}
		return n
	})
}

// A turn is what came of a poller's wait.
type turn struct {
	had  bool
	took time.Duration
}

// polled starts a hot key of ours and a pylock that polls for it, for as long as
// wait. stop ends both sides' work, and counts ours.
func polled(t *testing.T, processes int, gap, section, period, wait time.Duration) (its <-chan outcome[turn], stop func() int) {
	t.Helper()
	addr, _ := redisServer(t)
	var clients []*lockclient.Client
	for range processes {
		clients = append(clients, open(t, addr, lockclient.Config{PollerGap: gap}))
	}
	stop = hot(t, clients, section)
	t.Cleanup(func() { stop() }) // before the client's end
	their := newPylock(settings{addr, 10 * time.Second, period}, goClient(t, addr))
	eventually(t, 5*time.Second, "the key is hot", func() bool {
		return !slices.ContainsFunc(clients, func(c *lockclient.Client) bool { return c.Stats().Handoffs < 50 })
	})
	return beside(func() (turn, error) {
		began := time.Now()
		had, err := their.acquire(wait)
		took := time.Since(began)
		if had {
			err = their.release()
		}
		return turn{had, took}, err
	}), stop
}

// PollerGap d keeps a hot key for 10 d and frees it for d. A gap that is no
// shorter than a poller's period p meets one of its polls, so it waits no longer
// than 11 d + p. Without a gap it waits in vain.
func TestAPollerGapLetsAPollerIntoAHotKey(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, test := range []struct {
		name                 string
		processes            int
		period, gap, section time.Duration
	}{
		// A section that takes time costs no processor, and the key is as hot. The
		// gap is longer than the period: a poll takes time, and its client may be late.
		{"polled once a second", 1, 1000 * ms, 1100 * ms, ms},
		{"with empty sections", 1, 50 * ms, 250 * ms, 0},
		{"of several processes", 3, 50 * ms, 150 * ms, ms / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bound := 11*test.gap + test.period
			with, stopWith := polled(t, test.processes, test.gap, test.section, test.period, bound+jitter)
			without, stopWithout := polled(t, test.processes, 0, test.section, test.period, bound)
			turn := soon(t, "the poller", with, bound+2*jitter).value
			if !turn.had {
				t.Errorf("with PollerGap %v the poller had no turn in %v", test.gap, bound)
			}
			// Of empty sections the queue runs dry for an instant now and then.
			if turn := soon(t, "the poller", without, bound+jitter).value; turn.had && test.section > 0 {
				t.Errorf("without PollerGap the poller had a turn after %v: the key is not hot", turn.took)
			}
			t.Logf("the poller waited %v of at most %v, beside %d holds of ours and %d without PollerGap",
				turn.took, bound, stopWith(), stopWithout())
		})
	}
}
