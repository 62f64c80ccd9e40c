package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A caller that gave up must leave nothing behind, whatever its request did in
// the meantime: the lease of nobody blocks a key until it expires.
func cancelChecks() []check {
	return []check{
		{"a cancelled context leaves no lease", cancelledContext, nil, nil},
		{"a context that ends under way leaves no lease after cancel", contextEndsUnderWay, nil, nil},
		{"cancel after held leaves the queue", cancelLeavesQueue, exclusive, twoHoldAtOnce},
		{"cancel gives back a lease that had just been granted", cancelGivesBack, exclusive, twoHoldAtOnce},
		{"one try leaves no trace", oneTryNoTrace, exclusive, twoHoldAtOnce},
	}
}

// ended makes one attempt under a context of its own and holds the error, if
// there is one, against the contract. Backends that answer without I/O may be
// done before they look at the context.
func ended(ctx context.Context, s *session, r backends.Request) error {
	reply, err := s.Acquire(ctx, r)
	if fault := contract(r, reply, err); fault != nil {
		return fault
	}
	if err != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("the context's error is lost: %w", err)
	}
	return nil
}

// nothingLeft cancels r, and then the key is another session's for the asking; or
// soon, where a request of r's that is still on its way may keep it for a while.
func nothingLeft(s, other *session, r backends.Request) error {
	if err := s.cancel(r); err != nil {
		return err
	}
	next := other.once(r.Key, long)
	reply, err := other.acquire(next)
	if late := backends.Describe(other.Backend).LateHold; err == nil && reply.Outcome == backends.Held && late > 0 {
		next = other.request(r.Key, long)
		reply, err = other.await(next, late)
	}
	if err == nil && reply.Outcome != backends.Granted {
		err = fmt.Errorf("%v of %s is %q, want %q", next.Token, other.label, reply.Outcome, backends.Granted)
	}
	if err != nil {
		return fmt.Errorf("after a cancel: %w", err)
	}
	return other.free(next)
}

// cancelledContext: the context had ended before the call, so nothing should
// have been sent; but it is the cancel that has to be relied on.
func cancelledContext(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(st.ctx)
	cancel()
	r := a.request(st.key("k"), long)
	if err := ended(ctx, a, r); err != nil {
		return err
	}
	return nothingLeft(a, b, r)
}

// contextEndsUnderWay cuts the call off at many points, some between the server's
// grant and its answer. That is the outcome MayHaveRun is made for.
func contextEndsUnderWay(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	for round := range 40 {
		// From sooner than any answer to later than most.
		ctx, cancel := context.WithTimeout(st.ctx, time.Duration(round)*20*time.Microsecond)
		r := a.request(key, long)
		err := ended(ctx, a, r)
		cancel()
		if err != nil {
			return err
		}
		if err := nothingLeft(a, b, ambiguous(r)); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// cancelLeavesQueue asks with one try: a place that stayed behind would make the
// next caller wait until that waiter counts as dead, a second later.
func cancelLeavesQueue(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	holder, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	waiter := b.request(holder.Key, long)
	if _, err := b.want(backends.Held, waiter); err != nil {
		return err
	}
	if err := first(b.cancel(waiter), a.free(holder)); err != nil {
		return err
	}
	_, err = c.want(backends.Granted, c.once(holder.Key, long))
	return err
}

// cancelGivesBack: the grant and the cancel cross, and the cancel comes second.
func cancelGivesBack(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	holder, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	waiter := b.request(holder.Key, long)
	if _, err := b.want(backends.Held, waiter); err != nil {
		return err
	}
	// From here on the waiter may own the key without knowing it.
	if err := a.free(holder); err != nil {
		return err
	}
	if err := nothingLeft(b, c, waiter); err != nil {
		return err
	}
	// And once more with a grant that the waiter did see.
	r, _, err := b.hold(holder.Key, long)
	if err != nil {
		return err
	}
	return nothingLeft(b, c, r)
}

// oneTryNoTrace: TryAcquire in a loop is common, and a queue full of attempts
// that nobody repeats would be a queue of dead heads.
func oneTryNoTrace(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	holder, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := b.want(backends.Held, b.once(holder.Key, long)); err != nil {
			return err
		}
	}
	if err := a.free(holder); err != nil {
		return err
	}
	// Had b left a place behind, the key would now be promised to it.
	_, err = c.want(backends.Granted, c.once(holder.Key, long))
	return err
}
