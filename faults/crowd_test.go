//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// patience is the timeout of a crowd's acquires: far more than any trouble lasts.
const patience = time.Minute

// A crowd is goroutines that take keys again and again, and all that they
// claimed to have held. Other than by workers, it is in this process, so that a
// test can follow each of its holds.
type crowd struct {
	t       *testing.T
	expires time.Duration
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	hot     string       // the key whose rate is looked at
	granted atomic.Int64 // of hot, so far

	mu      sync.Mutex // protects the rest
	claims  map[string][]entry
	unclean map[string]int // releases that did not succeed, by what they said
}

// A task is what one goroutine of a crowd does.
type task struct {
	key     string
	section time.Duration // how long a hold lasts
	pause   time.Duration // between a hold and the next acquire
	renewed bool
	// write, if set, is called at a hold's start and at its end, whether or not it
	// is still held: by somebody who doesn't look.
	write func(lock *lockclient.Lock, granted time.Time)
}

func gather(t *testing.T, hot string, expires time.Duration) *crowd {
	t.Helper()
	c := &crowd{t: t, hot: hot, expires: expires, claims: make(map[string][]entry), unclean: make(map[string]int)}
	c.ctx, c.end = context.WithCancel(t.Context())
	t.Cleanup(func() { c.disperse() }) // if the test fails
	return c
}

// join starts a goroutine that works as a process of that number.
func (c *crowd) join(process int, client *lockclient.Client, work task) {
	c.running.Go(func() { // until disperse
		var list []entry
		unclean := make(map[string]int)
		for c.ctx.Err() == nil {
			asked := stamp()
			opts := []lockclient.Option{lockclient.Expires(c.expires), lockclient.Timeout(patience)}
			if work.renewed {
				opts = append(opts, lockclient.Renew())
			}
			lock, err := client.Acquire(c.ctx, work.key, opts...)
			if err != nil {
				if c.ctx.Err() == nil {
					c.t.Errorf("process %d: acquire of %s after %v: %v", process, work.key, time.Duration(stamp()-asked), err)
				}
				break
			}
			if work.key == c.hot {
				c.granted.Add(1)
			}
			e := entry{process: process, asked: asked, granted: notAfterDeadline(lock, stamp()), fence: lock.Fence()}
			e.ended = c.hold(lock, work)
			list = append(list, e)
			if err := lock.Release(); err != nil {
				unclean[because(err)]++
			}
			rest(c.ctx, work.pause)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.claims[work.key] = append(c.claims[work.key], list...)
		for why, n := range unclean {
			c.unclean[why] += n
		}
	})
}

// because is the part of an error that callers can tell apart.
func because(err error) string {
	for _, known := range []error{lockclient.ErrNotHeld, lockclient.ErrUnavailable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// hold is a section. It returns when the hold was over: at its end, or when the
// client said that it was lost or had expired.
func (c *crowd) hold(lock *lockclient.Lock, work task) int64 {
	granted := time.Now() // its Deadline does not tell: that is a second away or less until a push is confirmed
	var lost atomic.Int64
	unhook := context.AfterFunc(lock.Context(), func() { lost.Store(stamp()) })
	defer unhook()
	if work.write != nil {
		work.write(lock, granted)
	}
	rest(c.ctx, work.section)
	now := stamp()
	if work.write != nil {
		work.write(lock, granted)
	}
	if lock.Context().Err() != nil { // also if it was stopped, and has just seen
		if at := lost.Load(); at != 0 {
			now = at
		}
	}
	return notAfterDeadline(lock, now)
}

// notAfterDeadline returns a stamp of this process, or the one of the hold's deadline
// if that was earlier: on a busy machine the goroutine that took the stamp may have
// waited for a processor, while another has the key.
func notAfterDeadline(lock *lockclient.Lock, taken int64) int64 {
	now := stamp()
	return min(taken, now+int64(time.Until(lock.Deadline())))
}

// A crowd's claim is no longer than the hold, even if the crowd learns late of its
// end.
func TestNoClaimOutlastsItsHold(t *testing.T) {
	beside(t)
	const expires = 30 * time.Millisecond
	c := gather(t, "k", expires)
	lock := acquire(t, open(t, "embedded://"+t.Name(), "one"), "k", lockclient.Expires(expires))
	ended := c.hold(lock, task{section: 2 * expires, write: func(lock *lockclient.Lock, _ time.Time) {
		<-lock.Context().Done()
		rest(c.ctx, expires) // neither this goroutine nor the one that notes the end gets a processor
	}})
	if late := time.Duration(ended-stamp()) - time.Until(lock.Deadline()); late > 0 {
		t.Errorf("a claim to the key %v after the hold's deadline", late)
	}
}

// disperse ends the crowd, and waits until all have given back what they had.
func (c *crowd) disperse() {
	c.end()
	c.running.Wait()
}

// of is what the crowd claimed of a key, by the grants. It checks what must hold
// of it: no two at once, unless excused, and fences that grow.
func (c *crowd) of(key string, excused func(before, e entry) bool) []entry {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all, err := mergeBut(excused, c.claims[key])
	if err != nil {
		c.t.Errorf("%s: %v", key, err)
	}
	return all
}

// keys are those that were asked for.
func (c *crowd) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for key := range c.claims {
		keys = append(keys, key)
	}
	return keys
}

// pulse is the hot key's rate over some time from now, holds a second.
func (c *crowd) pulse(length time.Duration) float64 {
	from, n := stamp(), c.granted.Load()
	rest(c.t.Context(), length)
	return float64(c.granted.Load()-n) / time.Duration(stamp()-from).Seconds()
}

// awaitPulse waits until the hot key's rate is half of what it was, or for as
// long as that may take: wantBack tells.
func (c *crowd) awaitPulse(before float64) {
	half := before / 2
	if !*long {
		half = 1 // as in backAfter
	}
	for start := time.Now(); c.pulse(rateWindow) < half && time.Since(start) < 2*c.expires+jitter; {
	}
	rest(c.t.Context(), rateWindow)
}

// rateWindow is how long a rate has to be kept up to count.
const rateWindow = 200 * time.Millisecond

// backAfter is how long after a moment the grants came at half of a rate again,
// for rateWindow; false if they never did. Beside other tests a rate says little,
// and any grants will do.
func backAfter(list []entry, before float64, moment int64) (time.Duration, bool) {
	if !*long {
		before = 0
	}
	for i, e := range list {
		if e.granted < moment {
			continue
		}
		n, _ := slices.BinarySearchFunc(list, e.granted+int64(rateWindow), func(e entry, at int64) int { return int(e.granted - at) })
		if float64(n-i) >= before/2*rateWindow.Seconds() {
			return time.Duration(e.granted - moment), true
		}
	}
	return 0, false
}

// wantBack checks L6: the hot key's holds are back at half their rate within 2 × expires.
func (c *crowd) wantBack(list []entry, before float64, healed int64) {
	c.t.Helper()
	took, ok := backAfter(list, before, healed)
	if !ok || took > 2*c.expires+jitter {
		c.t.Errorf("%.0f holds a second before, and not half of that within %v after: %v (%v)", before, 2*c.expires, took, ok)
		return
	}
	c.t.Logf("%.0f holds a second before, half of that again %v after it was healed", before, took)
}

// wantNothingStuck checks that each key can be had, once the leases have ended
// whose end a server didn't hear of.
func (c *crowd) wantNothingStuck(client *lockclient.Client) {
	c.t.Helper()
	start := time.Now()
	for _, key := range c.keys() {
		release(c.t, acquire(c.t, client, key, lockclient.Timeout(patience)))
		if took := time.Since(start); took > 2*c.expires+jitter {
			c.t.Errorf("%s was free after %v only", key, took)
		}
	}
}

// waits are how long those waited who asked in that time, shortest first.
func waits(list []entry, from, to int64) []time.Duration {
	var all []time.Duration
	for _, e := range list {
		if e.asked >= from && e.asked < to {
			all = append(all, time.Duration(e.granted-e.asked))
		}
	}
	slices.Sort(all)
	return all
}

// percentile is the wait of which that many in a hundred are shorter.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func summary(sorted []time.Duration) string {
	return fmt.Sprintf("%d, median %v, p99 %v, longest %v", len(sorted), percentile(sorted, 50), percentile(sorted, 99), percentile(sorted, 100))
}
