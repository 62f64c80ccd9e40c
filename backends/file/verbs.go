//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/backends"
)

// Acquire makes one attempt; it changes nothing unless it returns Granted, or
// Held with a place in the queue.
func (b *Backend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	leave, err := b.begin(ctx)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer leave()
	if err := b.present(); err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	had := b.holds(r.Key, r.Token)
	var reply backends.Reply
	var refusal error
	err = b.change(ctx, r.Key, true, func(rec *record, now int64) (write bool) {
		// Looked up under the flock: a cancel settles before it takes it, so
		// either it is seen here, or the cancel finds what is written here.
		if refusal = nil; b.settled.has(r.Attempt) {
			refusal = backends.ErrSettled
			return false
		}
		reply, write, refusal = b.attempt(rec, r, now)
		return write
	})
	if err == nil {
		err = refusal
	}
	if errors.Is(err, errTaken) { // its holder puts it back in a moment
		reply, err = backends.Reply{Outcome: backends.Held, Retry: pace(r.Probe, 1)}, nil
	}
	switch {
	case err != nil && !had, err == nil && reply.Outcome != backends.Granted:
		b.drop(r.Attempt)
	}
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	if reply.Place > 0 {
		b.wait(r.Attempt)
	}
	return reply, nil
}

// attempt decides whose the key is.
func (b *Backend) attempt(rec *record, r backends.Request, now int64) (reply backends.Reply, write bool, err error) {
	resting := b.rests(rec, now)
	for write = rec.expire(now); len(rec.shares) > 0; write = true {
		if reply, joined, err := b.join(rec, r, now); joined || err != nil {
			return reply, joined, err
		}
		if !b.bury(rec) {
			break
		}
	}
	if !resting && len(rec.shares) == 0 {
		write = b.serve(rec, r.Token, now) || write
		if rec.lease.none() || rec.lease.token == r.Token {
			return b.grant(rec, r, now)
		}
	}
	reply = backends.Reply{Outcome: backends.Held}
	// A promise has no holder yet, and its second is no lease to wait for.
	switch {
	case resting:
		reply.Holder, reply.FreeIn = rec.rest.label, span(rec.rest.until-now)
	case len(rec.shares) > 0:
		rec.heldBy(&reply, r.Kind, now)
	case !rec.lease.promised:
		reply.Holder = rec.lease.label
		reply.HeldFor = span(max(0, now-rec.lease.at))
		reply.FreeIn = span(max(0, rec.lease.ends-now))
	}
	if r.Queue {
		w := waiter{token: r.Token, session: b.session.name, label: cut(r.Label, maxWaiterLabel), since: now, wish: wishOf(r)}
		place, changed := rec.wait(w, now)
		reply.Place, write = place, write || changed
	}
	reply.Retry = pace(r.Probe, reply.Place)
	if resting {
		reply.Retry = max(min(max(reply.Retry, restPace), reply.FreeIn), time.Millisecond)
	}
	return reply, write, nil
}

// serve ends what is left of earlier times where nobody has the key: an expired lease, a
// dead holder's, or waiters whom no release has served. The first of those is served
// now, also if the caller is another. It reports whether it changed anything.
func (b *Backend) serve(rec *record, caller backends.Token, now int64) bool {
	if b.held(rec, now) || rec.lease.none() && len(rec.queue) == 0 {
		return false
	}
	b.prune(rec, now)
	if rec.position(caller) == 0 || len(rec.queue) == 0 {
		rec.lease = lease{}
	} else {
		b.pass(rec, now)
	}
	return true
}

// grant makes the lease r's, or finds that it is already: then it is only
// ever lengthened, as this may be a copy of an older request; and if it was
// revoked, not even that. A lease becomes a share if it is asked for again as one.
func (b *Backend) grant(rec *record, r backends.Request, now int64) (reply backends.Reply, write bool, err error) {
	if err := b.claim(rec, r.Attempt); err != nil {
		return backends.Reply{}, false, err
	}
	if r.Kind != backends.Exclusive && !rec.lease.revoked {
		return b.turn(rec, r, false, now), true, nil
	}
	us, base := ceil(r.TTL), rec.mint()
	l := lease{token: r.Token, session: b.session.name, label: cut(r.Label, maxLabel), at: now, ends: now + us, first: base}
	// Not so for a promise: its second of grace is not part of the lease.
	if old := rec.lease; !old.none() && !old.promised {
		l.at, l.first, l.revoked, l.reason = old.at, old.first, old.revoked, old.reason
		l.ends = max(l.ends, old.ends)
		if old.revoked {
			l.ends, us = old.ends, old.ends-now
		}
	}
	rec.lease = l
	if now >= rec.rest.until {
		rec.rest = rest{}
	}
	rec.keep(r.AtLeast, now)
	rec.leave(r.Token)
	b.prune(rec, now)
	b.hold(r.Key, rec)
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: span(us), Contended: rec.contended(r.Token)}, true, nil
}

// Renew makes the lease last ttl from now.
func (b *Backend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	return b.RenewShare(ctx, backends.Request{Attempt: a, TTL: ttl}, known)
}

// RenewShare makes the share last r.TTL from now. A lock becomes a share.
func (b *Backend) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	leave, err := b.begin(ctx)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer leave()
	if err := b.present(); err != nil {
		if backends.IsRefused(err) && b.dir.moved() {
			err = backends.ErrNotHeld // others may have it in the directory of today
		}
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	var reply backends.Reply
	refusal := backends.ErrNotHeld
	err = b.change(ctx, r.Key, false, func(rec *record, now int64) bool {
		reply, refusal = b.prolong(rec, r, known, now)
		return refusal == nil
	})
	if errors.Is(err, errMissing) || err == nil {
		err = refusal
	}
	if backends.IsNotHeld(err) {
		b.drop(r.Attempt)
	}
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	b.refresh(r.Key)
	return reply, nil
}

// prolong decides what becomes of a renewal.
func (b *Backend) prolong(rec *record, r backends.Request, known uint64, now int64) (backends.Reply, error) {
	if i := rec.shareOf(r.Token); i >= 0 {
		return b.prolongShare(rec, i, r, known, now)
	}
	switch {
	// An expired lease is gone even if nobody has come for the key: its holder
	// has been past its deadline, and may have told its callers so.
	case rec.lease.token != r.Token || now >= rec.lease.ends:
		return backends.Reply{}, backends.ErrNotHeld
	case rec.lease.revoked:
		return backends.Reply{}, backends.RevokedFor(rec.lease.reason)
	case known != 0 && known < rec.lease.first:
		return backends.Reply{}, backends.ErrNotHeld // a late copy of the acquire took the key anew: it is not the caller's lease
	case r.Kind != backends.Exclusive:
		return b.turn(rec, r, known == rec.last, now), nil
	}
	us := ceil(r.TTL)
	ends := now + us
	if known != rec.last {
		ends = max(ends, rec.lease.ends) // it may be a late copy of an older renewal
	}
	rec.lease.ends, rec.lease.promised = ends, false
	rec.keep(r.AtLeast, now)
	b.prune(rec, now)
	base := rec.mint()
	b.hold(r.Key, rec)
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: span(us), Contended: rec.contended(r.Token)}, nil
}

// Release gives the lease to the first live waiter, or to nobody.
func (b *Backend) Release(ctx context.Context, a backends.Attempt) error {
	was, err := b.end(ctx, a)
	if err == nil && !was {
		err = backends.ErrNotHeld
	}
	return err
}

// Cancel leaves the queue, and gives the lease back if there is one.
func (b *Backend) Cancel(ctx context.Context, a backends.Attempt) error {
	_, err := b.end(ctx, a)
	return err
}

// end leaves nothing of an attempt, and reports whether it had the lease.
func (b *Backend) end(ctx context.Context, a backends.Attempt) (was bool, err error) {
	leave, err := b.begin(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	// Before the flock is taken: see Acquire. It stays settled if the rest fails,
	// as the caller will repeat this and never the acquire.
	b.settled.add(a)
	had := b.holds(a.Key, a.Token)
	err = b.change(ctx, a.Key, false, func(rec *record, now int64) bool {
		// A release leaves the queue as well: a settled attempt would never come for
		// what it was promised.
		queued := rec.leave(a.Token)
		ends, ended := b.endOf(rec, a, now)
		// Whoever comes too late did not have it any more; the next is served, though.
		was = was || now < ends
		return queued || ended
	})
	if errors.Is(err, errTaken) { // no place was written down for it
		was, err = had, nil
	}
	// After the change: an acquire that was first at the record has noted its lease.
	b.drop(a)
	if err != nil {
		was = false
	}
	// No record, no lease and no queue; and no directory, nothing at all.
	if errors.Is(err, errMissing) || err != nil && b.dir.moved() {
		err = nil
	}
	if err == nil {
		b.sweepSometimes()
	}
	return was, err
}

// endOf ends what an attempt has, and returns when that would have ended.
func (b *Backend) endOf(rec *record, a backends.Attempt, now int64) (ends int64, ended bool) {
	i := rec.shareOf(a.Token)
	switch {
	case i >= 0:
		ends = rec.shares[i].ends
		b.endShare(rec, i, now)
	case rec.lease.token == a.Token:
		ends = rec.lease.ends
		if rec.lease.revoked {
			a.AtLeast = 0
		}
		b.giveBack(rec, a.AtLeast, now)
	default:
		return now, false
	}
	b.drop(a)
	return ends, true
}

// pace is when to ask again, jittered by a quarter so that sessions that came
// together drift apart. The first in line asks after 1 ms, doubling to 25. It has to
// find out that a holder has died, or that its time is over; a note tells it of a
// release. Each place behind it asks a fourth as often, down to every 800 ms. A note
// tells these when they become the first; they ask to show that they are still
// there.
func pace(probe, place int) time.Duration {
	d := min(time.Millisecond<<min(max(probe, 0), 10), slowest(place))
	return d - rand.N(d/4)
}

// slowest bounds how long a waiter at a place goes without asking.
func slowest(place int) time.Duration {
	return min(25*time.Millisecond<<(2*min(max(place-1, 0), 3)), 800*time.Millisecond)
}

// cut shortens a label that is longer than most bytes, between two characters.
func cut(label string, most int) string {
	if len(label) <= most {
		return label
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(label[n]) {
		n--
	}
	return label[:n]
}
