package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// A copy of a request that was delayed may arrive when nobody awaits it any
// more. Were it granted, the lease would belong to no one until it expired.
//
// The end of such an attempt says that it is ambiguous. The copy doesn't: it was sent before
// anybody knew.
func settleChecks() []check {
	return []check{
		{"a released attempt is never granted again", releasedIsSettled, exclusive, twoHoldAtOnce},
		{"a cancelled attempt is never granted again", cancelledIsSettled, exclusive, twoHoldAtOnce},
		{"an attempt cancelled before it arrived is never granted", cancelledUnseen, exclusive, twoHoldAtOnce},
		{"settling an attempt settles nothing on other keys", settledByKey, nil, nil},
		{"a settled attempt leaves its session's next ones alone", settledThenNext, nil, nil},
		{"an ambiguous attempt is served as any other", ambiguousIsServed, nil, nil},
	}
}

// late sends a copy of a settled attempt and insists that it did nothing: an
// answer of any other kind will do, and the key is free for others at once.
func late(s, other *session, r backends.Request) error {
	for range 3 {
		reply, err := s.Acquire(s.ctx, r)
		if fault := contract(r, reply, err); fault != nil {
			return fault
		}
		if reply.Outcome == backends.Granted {
			return fmt.Errorf("settled %v was granted", r.Token)
		}
	}
	next := other.once(r.Key, long)
	if _, err := other.want(backends.Granted, next); err != nil {
		return fmt.Errorf("after a late copy: %w", err)
	}
	return other.free(next)
}

// ambiguous is the same attempt once a request of it was not answered.
func ambiguous(r backends.Request) backends.Request {
	r.Ambiguous = true
	return r
}

// releasedIsSettled: the copy of the acquire comes after hold and release, as a
// request does that a dead connection kept for a while.
func releasedIsSettled(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := a.free(ambiguous(r)); err != nil {
		return err
	}
	r.Queue = false
	return late(a, b, r)
}

// cancelledIsSettled: the attempt was known to the queue, and a copy of it must
// not bring its place back either.
func cancelledIsSettled(st *store) error {
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
	if err := first(b.cancel(ambiguous(waiter)), a.free(holder)); err != nil {
		return err
	}
	return late(b, c, waiter)
}

// cancelledUnseen: the cancel overtook the acquire on another connection.
func cancelledUnseen(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r := a.request(st.key("k"), long)
	if err := a.cancel(ambiguous(r)); err != nil {
		return err
	}
	return late(a, b, r)
}

// settledByKey: attempts are numbered over all keys of a session, so a low
// number that is still under way on one key must survive a high one that is
// settled on another.
func settledByKey(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	low := a.request(st.key("slow"), long)
	high, _, err := a.hold(st.key("fast"), long)
	if err != nil {
		return err
	}
	if err := a.free(high); err != nil {
		return err
	}
	if _, err := a.want(backends.Granted, low); err != nil {
		return err
	}
	return a.free(low)
}

// settledThenNext: attempts are given up and made in turn on one key, and the
// higher number is always good. A backend that settled whole sessions would lock
// out a process after its first timeout.
func settledThenNext(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	key := st.key("k")
	for range 20 {
		dropped := a.request(key, long)
		if err := a.cancel(dropped); err != nil {
			return err
		}
		r, _, err := a.hold(key, long)
		if err != nil {
			return err
		}
		if err := a.free(r); err != nil {
			return err
		}
	}
	return nil
}

// ambiguousIsServed: the field says how an attempt has to end, and changes no answer. The mark that
// it leaves behind is of the past: the session's next attempt, of which all was answered, is served too.
func ambiguousIsServed(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r := ambiguous(a.request(st.key("k"), long))
	reply, err := a.want(backends.Granted, r)
	if err != nil {
		return err
	}
	again, err := a.Renew(a.ctx, r.Attempt, long, reply.Base)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	if again.Base <= reply.Base {
		return fmt.Errorf("renewed with base %d after %d", again.Base, reply.Base)
	}
	if err := first(a.free(r), a.cancel(ambiguous(a.request(r.Key, long)))); err != nil {
		return err
	}
	for _, s := range []*session{a, b} {
		next, _, err := s.hold(r.Key, long)
		if err != nil {
			return err
		}
		if err := s.free(next); err != nil {
			return err
		}
	}
	return nil
}
