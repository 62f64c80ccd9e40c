package lockclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/option"
)

// An op is one caller of a random script: it arrives, acquires, perhaps gives
// up, holds, perhaps extends, and releases or lets the hold expire.
type op struct {
	at      time.Duration
	client  int
	key     string
	expires time.Duration
	timeout time.Duration
	cancel  time.Duration // after the arrival; 0: never
	hold    time.Duration
	extend  time.Duration // by how much, half way through; 0: not
	renew   bool
	release bool
	least   time.Duration // the key is nobody else's before that; 0: no rest
	revoked bool          // its key is revoked at some time, and may not rest then
	watch   bool          // it asks to be told when others wait
	shown   bool          // it shows its deadline to others, so it wants no hold that is not confirmed
	wind    time.Duration // what it takes to stop, once told that its hold is revoked
	deleted bool          // its key is revoked with Now at some time: others don't wait for that
	kind    backends.Kind
	n       int32 // of slots
	down    bool  // it goes on with a shared hold, half way through
	nest    bool  // its callee takes a shared hold of the key, half way through
}

// A run is what became of an op.
type run struct {
	op       op
	outcomes int
	resolved time.Time
	err      error
	fence    uint64
	start    time.Time
	end      time.Time // of what the holder may rightly claim
	short    error     // the hold ended before it should have
	uncover  error     // S7: the store's lease did not cover the hold
	void     bool      // its lease was deleted before it began, or its push named a base that no lease has
	turned   time.Time // when it was downgraded; zero: never
	nested   *run      // of its callee
}

// TestRandomScripts checks S1, S2, S5, S6, S7, L2, L3 and L7 over random
// scripts of acquire, cancel, release, extend and expire, against a backend
// that loses requests and replies, and delivers some after their caller gave up.
func TestRandomScripts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops, revocations := drawOps(rt), drawRevocations(rt)
		seed := rapid.Uint64().Draw(rt, "seed")
		f := faults{
			notRun:  rapid.IntRange(0, 15).Draw(rt, "notRun"),
			lost:    rapid.IntRange(0, 15).Draw(rt, "lost"),
			late:    rapid.IntRange(0, 15).Draw(rt, "late"),
			latency: time.Duration(rapid.IntRange(0, 20).Draw(rt, "latency")) * time.Millisecond,
		}
		cfg := Config{KeyPrefix: NoPrefix}
		if rapid.Bool().Draw(rt, "noHandoff") {
			cfg.NoHandoff = true
		}
		if rapid.Bool().Draw(rt, "linger") {
			cfg.Linger = 100 * time.Millisecond
		}
		var failures []error
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			failures = runScript(t, s, ops, revocations, [2]backends.Backend{newFake(s, seed, f), newFake(s, seed+1, f)}, cfg)
		})
		for _, err := range failures {
			rt.Errorf("%v", err)
		}
	})
}

func runScript(t *testing.T, s *store, ops []op, revocations []revocation, over [2]backends.Backend, cfg Config) []error {
	var clients [2]*Client
	for i := range clients {
		c, err := New(over[i], cfg)
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = c
	}
	runs := make([]run, len(ops))
	var wg sync.WaitGroup
	for i := range ops {
		wg.Go(func() {
			time.Sleep(ops[i].at) // virtual: the script's own clock
			o := ops[i]
			o.deleted = slices.ContainsFunc(revocations, func(r revocation) bool { return r.now && r.key == o.key })
			o.revoked = o.revoked || slices.ContainsFunc(revocations, func(r revocation) bool { return r.key == o.key })
			runs[i] = runOp(clients[o.client], s, o)
		})
	}
	for _, r := range revocations {
		wg.Go(func() {
			time.Sleep(r.at) // virtual
			// A lease of the revoker's own goes back through the faults.
			if _, err := clients[r.client].Revoke(context.Background(), r.key, Revocation{Now: r.now}); err != nil && !(r.now && errors.Is(err, ErrUnavailable)) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	time.Sleep(10 * time.Second) // virtual: longer than any lease, backoff and idle time

	var failures []error
	for _, key := range []string{"a", "b"} {
		if l, held := s.lease(key); held {
			failures = append(failures, fmt.Errorf("S5: %s is still leased by %v", key, l.token))
		}
		if n := s.places(key); n != 0 {
			failures = append(failures, fmt.Errorf("S5: %d still wait for %s", n, key))
		}
		if slices.ContainsFunc(ops, func(o op) bool { return o.kind != backends.Exclusive }) {
			failures = append(failures, checkKinds(key, runs)...)
		} else {
			failures = append(failures, checkKeyHistory(key, runs)...)
		}
	}
	for _, r := range runs {
		failures = append(failures, checkRun(r)...)
	}
	for i, c := range clients {
		if st := c.Stats(); st.Waiters != 0 || st.LiveKeys != 0 {
			failures = append(failures, fmt.Errorf("L7: client %d has %d waiters and %d live keys left", i, st.Waiters, st.LiveKeys))
		}
		if err := c.Close(); err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

func runOp(c *Client, s *store, o op) run {
	r := run{op: o}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if o.cancel > 0 {
		stop := time.AfterFunc(o.cancel, cancel)
		defer stop.Stop()
	}
	opts := []Option{Expires(o.expires), Timeout(o.timeout)}
	if o.renew {
		opts = append(opts, Renew())
	}
	if o.least > 0 {
		opts = append(opts, AtLeast(o.least))
	}
	if o.shown {
		opts = append(opts, option.Confirmed)
	}
	arrived := time.Now()
	lock, err := o.acquire(ctx, c, opts)
	r.outcomes++
	r.resolved, r.err = time.Now(), err
	if err != nil {
		return r
	}
	r.start, r.fence = time.Now(), lock.Fence()
	full := lock.Deadline()
	if d := full.Sub(arrived); d < o.expires && (o.shown || !s.pushes()) {
		r.short = fmt.Errorf("hold of %v ends %v after its acquire began", o.expires, d)
	}
	r.void = s.deletedBefore(o.key, r.fence>>10) || uint64(r.start.UnixMicro())-r.fence>>10 > twist/2
	// A revocation by its own client may have ended it in the same instant.
	if l, held := s.lease(o.key); (!held || !l.covers(r.fence, full)) && lock.Context().Err() == nil && !r.void {
		r.uncover = fmt.Errorf("S7: fence %d granted until %v, store says %v until %v", r.fence, lock.Deadline(), held, l.ends)
	}
	held := lock.Context()
	over := endOf(held, o.deleted)
	if o.watch {
		lock.Wanted()
	}
	ended := !sleep(held, o.hold/2)
	if !ended && o.extend > 0 {
		_ = lock.Extend(o.extend) // may fail: the faults see to that
	}
	if !ended {
		r.turns(lock)
		r.nests(c, lock)
	}
	ended = !sleep(held, o.hold-o.hold/2) || ended
	if !o.release && !o.renew {
		<-held.Done()
	}
	r.short = cmp.Or(r.short, confirmed(lock, full, r.start.Add(o.expires)))
	if errors.Is(context.Cause(held), backends.ErrRevoked) && !o.deleted {
		// It takes time to stop, and nobody may have the key meanwhile.
		sleep(context.Background(), o.wind)
	}
	r.end = time.Now() // what the holder claims ends when it learns of a loss, or here
	if deadline := lock.Deadline(); deadline.Before(r.end) {
		r.end = deadline
	}
	if at, lost := over(); lost && at.Before(r.end) {
		r.end = at
	}
	err = lock.Release()
	// It could not know. Its release may not have asked, since the lease lingers; or it
	// asked twice, and took the second answer, "not held", for the doing of the first. But
	// nothing was to be granted under its lease from then on.
	if at := s.deletedAfter(o.key, r.start); at.Before(r.end) {
		r.end = at
	}
	if r.void {
		r.end = r.start
	}
	if ended && !errors.Is(err, ErrNotHeld) {
		r.short = fmt.Errorf("release after %v: %v", context.Cause(held), err)
	}
	if o.watch {
		select {
		case <-lock.Wanted():
		default:
			r.short = fmt.Errorf("the hold has ended, and its Wanted is open: %+v", o)
		}
	}
	return r
}

// checkKeyHistory checks what concerns the holds of one key among each other.
func checkKeyHistory(key string, runs []run) []error {
	var failures []error
	var granted []run
	for _, r := range runs {
		if r.op.key == key && r.err == nil && !r.void {
			granted = append(granted, r)
		}
	}
	slices.SortFunc(granted, func(a, b run) int { return int(int64(a.fence) - int64(b.fence)) })
	newest := [2]time.Duration{-1, -1}
	for i, r := range granted {
		if i > 0 {
			before := granted[i-1]
			if before.fence == r.fence {
				failures = append(failures, fmt.Errorf("S2: %s: fence %d twice", key, r.fence))
			}
			if r.start.Before(before.start) {
				failures = append(failures, fmt.Errorf("S2: %s: fence %d after %d, granted before it", key, r.fence, before.fence))
			}
			if r.start.Before(before.end) {
				failures = append(failures, fmt.Errorf("S1: %s: fence %d from %v, %d until %v", key, r.fence, r.start, before.fence, before.end))
			}
		}
		for _, before := range granted[:i] {
			if early := before.rests(r); early > 0 {
				failures = append(failures, fmt.Errorf("AtLeast: %s: fence %d follows %d, of %+v, by %v too early", key, r.fence, before.fence, before.op, early))
			}
		}
		if r.op.at < newest[r.op.client] {
			failures = append(failures, fmt.Errorf("L3: %s: arrival at %v granted after that at %v", key, r.op.at, newest[r.op.client]))
		}
		newest[r.op.client] = r.op.at
	}
	return failures
}

// checkRun checks what concerns one caller.
func checkRun(r run) []error {
	var failures []error
	if r.outcomes != 1 {
		failures = append(failures, fmt.Errorf("S6: %d outcomes for %+v", r.outcomes, r.op))
	}
	limit := r.op.timeout
	if limit == 0 {
		limit = tryTimeout
	}
	if r.op.cancel > 0 {
		limit = min(limit, r.op.cancel)
	}
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when every bubble begins
	if late := r.resolved.Sub(epoch) - r.op.at - limit; late > 250*time.Millisecond {
		failures = append(failures, fmt.Errorf("L2: resolved %v after its deadline: %+v: %v", late, r.op, r.err))
	}
	unanswered := r.op.timeout == 0 && errors.Is(r.err, ErrUnavailable)
	if r.err != nil && !unanswered && !errors.Is(r.err, ErrTimeout) && !errors.Is(r.err, context.Canceled) {
		failures = append(failures, fmt.Errorf("unexpected error: %w", r.err))
	}
	for _, err := range []error{r.short, r.uncover} {
		if err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}
