package interop

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// hot keeps a key busy with goroutines of one client until stop, which tells how
// many holds there were. They are so many that one of them always waits, however
// late the machine lets the others go on.
func hot(t *testing.T, c *lockclient.Client, section time.Duration) (stop func() int) {
	t.Helper()
	const goroutines = 16
	ctx, cancel := context.WithCancel(t.Context())
	counts, failures := make([]int, goroutines), make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() { // ends with ctx
			for ctx.Err() == nil {
				lock, err := c.Acquire(ctx, key)
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
func polled(t *testing.T, gap, section, period, wait time.Duration) (its <-chan outcome[turn], stop func() int) {
	t.Helper()
	addr, _ := redisServer(t)
	c := open(t, addr, lockclient.Config{PollerGap: gap})
	stop = hot(t, c, section)
	t.Cleanup(func() { stop() }) // before the client's end
	their := newPylock(settings{addr, 10 * time.Second, period}, goClient(t, addr))
	eventually(t, 5*time.Second, "the key is hot", func() bool { return c.Stats().Handoffs > 50 })
	return beside(func() (turn, error) {
		began := time.Now()
		had, err := their.acquire(wait)
		return turn{had, time.Since(began)}, err
	}), stop
}

// PollerGap d keeps a hot key for 10 d and frees it for d. A gap that is no
// shorter than a poller's period p meets one of its polls, so it waits no longer
// than 11 d + p. Without a gap it waits in vain.
func TestAPollerGapLetsAPollerIntoAHotKey(t *testing.T) {
	t.Parallel()
	const (
		period  = time.Second             // pylock's own
		gap     = 1100 * time.Millisecond // a poll takes time, and its client may be late
		section = time.Millisecond        // costs no processor, and the key is as hot
		bound   = 11*gap + period
		wait    = bound + jitter
	)
	with, stopWith := polled(t, gap, section, period, wait)
	without, stopWithout := polled(t, 0, section, period, wait)
	turn := soon(t, "the poller", with, wait+jitter).value
	if !turn.had {
		t.Errorf("with PollerGap %v the poller had no turn in %v", gap, wait)
	}
	if turn := soon(t, "the poller", without, wait+jitter).value; turn.had {
		t.Errorf("without PollerGap the poller had a turn after %v: the key is not hot", turn.took)
	}
	t.Logf("the poller waited %v of at most %v, beside %d holds of ours; in vain beside %d without PollerGap",
		turn.took, bound, stopWith(), stopWithout())
}
