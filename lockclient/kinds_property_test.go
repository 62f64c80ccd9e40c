package lockclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

// TestRandomScriptsOfKinds is TestRandomScripts with holds of all kinds, downgrades and nested holds, over a store that
// keeps shares. It checks K1, S2 as it is for shares, and L3 whichever the kind.
func TestRandomScriptsOfKinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops, revocations := drawKinds(rt), drawRevocations(rt)
		seed := rapid.Uint64().Draw(rt, "seed")
		percent := func(label string) int { return max(0, rapid.IntRange(-8, 15).Draw(rt, label)) }
		f := faults{
			notRun: percent("notRun"), lost: percent("lost"), late: percent("late"),
			latency: time.Duration(rapid.IntRange(0, 20).Draw(rt, "latency")) * time.Millisecond,
		}
		p := pushFaults{
			lost: percent("push lost"), late: 2 * percent("push late"), twice: 2 * percent("push twice"), repeated: 4 * percent("repeated"),
			failsOver: rapid.IntRange(0, 3).Draw(rt, "failsOver") == 0,
		}
		for range rapid.IntRange(0, 3).Draw(rt, "other pushes") {
			p.others = append(p.others, otherPush{
				after: time.Duration(rapid.IntRange(1, 3000).Draw(rt, "at")) * time.Millisecond,
				wake: backends.Wake{
					Key:  rapid.SampledFrom([]string{"", "a"}).Draw(rt, "of"),
					Kind: rapid.SampledFrom([]backends.WakeKind{backends.Given, backends.Wanted, backends.Doubted, backends.Revoking, backends.Answering}).Draw(rt, "kind"),
				},
			})
		}
		p.mayRevoke(ops)
		pushes, locks := rapid.IntRange(0, 3).Draw(rt, "pushes") > 0, rapid.IntRange(0, 3).Draw(rt, "locks") == 0
		cfg := Config{KeyPrefix: NoPrefix, NoHandoff: rapid.IntRange(0, 7).Draw(rt, "noHandoff") == 0}
		if rapid.Bool().Draw(rt, "linger") {
			cfg.Linger = 100 * time.Millisecond
		}
		if rapid.IntRange(0, 5).Draw(rt, "gaps") == 0 {
			cfg.PollerGap = 20 * time.Millisecond
		}
		var failures []error
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			s.locks = locks
			over := [2]backends.Backend{newFake(s, seed, f), newFake(s, seed+1, f)}
			if pushes {
				over = [2]backends.Backend{newPusher(s, seed, f, p), newPusher(s, seed+1, f, p)}
			}
			failures = runScript(t, s, ops, revocations, over, cfg)
		})
		for _, err := range failures {
			rt.Errorf("%v", err)
		}
	})
}

// drawKinds draws ops of all kinds, most of them on one key.
func drawKinds(rt *rapid.T) []op {
	ops := drawOps(rt)
	for i := range ops {
		o := &ops[i]
		switch rapid.IntRange(0, 9).Draw(rt, "of kind") {
		case 0, 1, 2, 3:
			o.kind = backends.Shared
		case 4, 5, 6:
			o.kind, o.n = backends.Slots, int32(rapid.IntRange(1, 4).Draw(rt, "n"))
		default:
			o.down = rapid.Bool().Draw(rt, "down")
		}
		if o.kind != backends.Exclusive || o.down {
			o.least = 0
		}
		o.nest = rapid.IntRange(0, 4).Draw(rt, "nest") == 0
		if rapid.IntRange(0, 4).Draw(rt, "hot") > 0 {
			o.key, o.hold, o.timeout = "a", o.hold/3, max(o.timeout, time.Second)
		}
	}
	return ops
}

// acquire is Acquire of the op's kind.
func (o op) acquire(ctx context.Context, c *Client, opts []Option) (*Lock, error) {
	if o.kind == backends.Exclusive {
		return c.Acquire(ctx, o.key, opts...)
	}
	return c.acquireWithin(ctx, nil, o, opts)
}

func (c *Client) acquireWithin(ctx context.Context, parent *Lock, o op, opts []Option) (*Lock, error) {
	all, err := c.options(c.defaults(ctx), opts)
	if err != nil {
		return nil, err
	}
	spec := specOf(all)
	spec.Kind, spec.N = o.kind, o.n
	l := &Lock{parent: ctx}
	if parent != nil {
		err = c.coordinator.BeginWithin(&l.hold, &parent.hold, o.key, spec)
	} else {
		err = c.coordinator.Begin(&l.hold, o.key, spec)
	}
	if err != nil {
		return nil, err
	}
	return l.wait(ctx)
}

// endOf returns a function that tells when the context of a hold ended, unless that was by a revocation: then the hold
// goes on until its holder has stopped, or it may have been deleted.
func endOf(held context.Context, deleted bool) func() (at time.Time, lost bool) {
	done := make(chan time.Time, 1)
	stop := context.AfterFunc(held, func() { done <- time.Now() })
	return func() (at time.Time, lost bool) {
		if stop() || errors.Is(context.Cause(held), backends.ErrRevoked) && !deleted {
			return at, false
		}
		return <-done, true
	}
}

// turns downgrades the hold, if it is to be. It counts as shared from here on, answered or not.
func (r *run) turns(lock *Lock) {
	if !r.op.down {
		return
	}
	r.turned = time.Now()
	switch err := lock.hold.Downgrade(); {
	case err != nil && !errors.Is(err, ErrNotHeld) && !errors.Is(err, ErrUnavailable):
		r.short = fmt.Errorf("downgrade: %w", err)
	case err == nil && lock.hold.Kind() != backends.Shared:
		r.short = fmt.Errorf("downgraded, and it is %v", lock.hold.Kind())
	}
}

// nests has the hold's callee take a shared hold of the key, past those who wait.
func (r *run) nests(c *Client, lock *Lock) {
	if !r.op.nest {
		return
	}
	o := op{client: r.op.client, key: r.op.key, kind: backends.Shared, expires: 50 * time.Millisecond, timeout: 3 * time.Second}
	began := time.Now()
	alive := lock.Context().Err() == nil
	n, err := c.acquireWithin(context.Background(), lock, o, []Option{Expires(o.expires), Timeout(o.timeout)})
	took := time.Since(began)
	shared := lock.hold.Kind() == backends.Shared
	switch {
	case errors.Is(err, ErrDeadlock) && took > 0 && lock.Context().Err() == nil:
		r.short = fmt.Errorf("a deadlock is noticed after %v", took)
	case alive && !shared && err == nil && lock.Context().Err() == nil:
		r.short = fmt.Errorf("a shared hold within one that is %v, while that goes on", lock.hold.Kind())
	case alive && shared && errors.Is(err, ErrDeadlock) && lock.Context().Err() == nil:
		r.short = fmt.Errorf("a deadlock within a shared hold")
	}
	if err != nil {
		return
	}
	child := run{op: o, start: time.Now(), fence: n.Fence()}
	sleep(n.Context(), 20*time.Millisecond)
	if child.end = time.Now(); n.Deadline().Before(child.end) {
		child.end = n.Deadline()
	}
	r.nested = &child
	_ = n.Release() // it may have expired
}

// A span is a time in which a hold is of one kind.
type span struct {
	from, to time.Time
	kind     backends.Kind
	n        int32
	fence    uint64
	by       *run
}

func (s span) String() string {
	at := func(t time.Time) time.Duration { return t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) }
	return fmt.Sprintf("%v hold of %d (%d), client %d, from %v to %v", s.kind, s.n, s.fence, s.by.op.client, at(s.from), at(s.to))
}

// spans returns what a run held.
func (r *run) spans() (all []span) {
	whole := span{r.start, r.end, r.op.kind, r.op.n, r.fence, r}
	if !r.turned.IsZero() && r.turned.Before(r.end) {
		first := whole
		first.to, whole.from, whole.kind = r.turned, r.turned, backends.Shared
		all = append(all, first)
	}
	all = append(all, whole)
	if n := r.nested; n != nil {
		if n.end.After(r.end) && r.void {
			n.end = n.start
		}
		all = append(all, n.spans()...)
	}
	return all
}

// checkKinds checks what concerns the holds of one key among each other.
func checkKinds(key string, runs []run) (failures []error) {
	var granted []run
	var spans []span
	for i := range runs {
		if r := &runs[i]; r.op.key == key && r.err == nil && !r.void {
			granted, spans = append(granted, *r), append(spans, r.spans()...)
		}
	}
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.fence, b.fence)) })
	for i, b := range spans {
		beside := []int32{b.n}
		for _, a := range spans[:i] {
			if a.fence == b.fence {
				if a.by != b.by {
					failures = append(failures, fmt.Errorf("S2: %s: %v and %v have one fence", key, a, b))
				}
				continue
			}
			overlap := b.from.Before(a.to) && a.from.Before(b.to)
			switch {
			case overlap && (a.kind != b.kind || a.kind == backends.Exclusive):
				failures = append(failures, fmt.Errorf("K1: %s: %v beside %v", key, b, a))
			case overlap:
				beside = append(beside, a.n)
			}
			if (a.kind == backends.Exclusive || b.kind == backends.Exclusive) && a.fence > b.fence {
				failures = append(failures, fmt.Errorf("S2: %s: %v after %v", key, b, a))
			}
		}
		if b.kind == backends.Slots && b.to.After(b.from) {
			failures = append(failures, tooMany(key, beside)...)
		}
	}
	return append(failures, checkArrivals(key, granted)...)
}

// tooMany is K1 for slots: of those that say so many, or less, there are never more.
func tooMany(key string, said []int32) []error {
	for _, n := range said {
		at := int32(0)
		for _, m := range said {
			if m <= n {
				at++
			}
		}
		if at > n {
			return []error{fmt.Errorf("K1: %s: %d slot holds that say %d or less: %v", key, at, n, said)}
		}
	}
	return nil
}

// checkArrivals is L3: in a process those that came first are granted first, whichever their kind.
func checkArrivals(key string, granted []run) (failures []error) {
	slices.SortFunc(granted, func(a, b run) int { return int(a.op.at - b.op.at) })
	var newest [2]time.Time
	for i, r := range granted {
		c := r.op.client
		if r.start.Before(newest[c]) {
			failures = append(failures, fmt.Errorf("L3: %s: %+v, which came at %v, is granted before one that came earlier", key, r.spans(), r.op.at))
		}
		if r.start.After(newest[c]) {
			newest[c] = r.start
		}
		for j, before := range granted {
			if early := before.rests(r); j != i && before.start.Before(r.start) && early > 0 {
				failures = append(failures, fmt.Errorf("AtLeast: %s: fence %d follows %d by %v too early", key, r.fence, before.fence, early))
			}
		}
	}
	return failures
}
