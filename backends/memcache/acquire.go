package memcache

import (
	"cmp"
	"context"
	"errors"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// Acquire makes one attempt. Its steps on a free key, four round trips:
//
//	add   the token, for a few seconds
//	gets  it, with its number for the swap; and who waits
//	incr  the counter: the base
//	cas   token and base for the token, for the whole ttl
//
// The last alone is a grant. It proves that the item was the attempt's from
// before the base was drawn, so whoever is granted the key later, or was before,
// drew its base later, or before.
func (b *Backend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if b.memory.settled(r.Attempt) {
		return backends.Reply{Outcome: backends.NotRun}, backends.ErrSettled
	}
	t, err := b.talk(ctx, r.Attempt)
	if err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	defer t.end()
	reply, err := t.acquire(r)
	if err != nil {
		reply = backends.Reply{Outcome: backends.NotRun}
		if t.wrote && !errors.Is(err, backends.ErrSettled) {
			reply.Outcome = backends.MayHaveRun
		}
	}
	return reply, err
}

func (t *talk) acquire(r backends.Request) (backends.Reply, error) {
	aside := t.b.memory.aside(r.Attempt)
	if !r.Queue {
		aside = 0 // one try has no turn to give
	}
	// A probe looks first, as the key is most likely still held; so does who
	// stands back. Else the add comes first, and tells as much.
	add := r.Probe == 0 && aside <= 0
	for range rounds {
		if add {
			// Not stored: it is held, perhaps by ourselves. Without an answer it may
			// have been stored. The look that follows settles all of that.
			if err := t.add(); err != nil && !errors.Is(err, gomemcache.ErrNotStored) && !again(err) {
				return backends.Reply{}, err
			}
		}
		seen, err := t.look()
		switch {
		case again(err):
			add = false
			continue
		case err != nil:
			return backends.Reply{}, err
		case seen.lock == nil && aside > 0:
			t.ask(seen)
			return backends.Reply{Outcome: backends.Held, Retry: max(aside, time.Millisecond)}, nil
		case seen.lock == nil:
			add = true
			continue
		case !seen.own(r.Attempt) && !t.leftover(seen):
			return t.held(seen, r), nil
		case !seen.own(r.Attempt):
			// A late copy of an add, of an attempt of ours that is over.
			if err := t.erase(seen.lock); err != nil && !answered(err) && !again(err) {
				return backends.Reply{}, err
			}
			add = true
			continue
		}
		reply, err := t.confirm(seen, r)
		if err == nil || !answered(err) && !again(err) {
			return reply, err
		}
		add = false // it changed, or may have: look again
	}
	return backends.Reply{}, backends.Unavailable(name, errChanging)
}

// confirm swaps the attempt's token for its lease. A conflict or a miss means
// that the item is no longer what was seen.
func (t *talk) confirm(seen sight, r backends.Request) (backends.Reply, error) {
	base, err := t.mint(seen.lease.base)
	if err != nil {
		return backends.Reply{}, err
	}
	now := t.b.clock.now()
	l := lease{token: r.Token, granted: true, first: base, base: base, since: now, ends: now + ms(r.TTL), label: r.Label}
	if seen.lease.granted {
		// An earlier copy got this far. It is only ever lengthened, as this one may
		// have been delayed.
		l.first, l.since, l.ends = seen.lease.first, seen.lease.since, max(l.ends, seen.lease.ends)
	}
	if seen.revoked() {
		// Not even that. Past its end a swap would put it off: the attempt starts over.
		if l.ends = seen.lease.ends; l.ends <= now {
			return backends.Reply{}, cmp.Or(t.erase(seen.lock), gomemcache.ErrCASConflict)
		}
	}
	ttl := time.Duration(l.ends-now) * time.Millisecond
	if err := t.swap(seen, l, ttl); err != nil {
		return backends.Reply{}, err
	}
	// Asked after the swap: a cancel settles before it looks, so either it is seen
	// here, or the cancel finds the lease.
	if t.b.memory.settled(r.Attempt) {
		return backends.Reply{}, t.takeBack()
	}
	if !seen.revoked() {
		ttl = whole(ttl)
	}
	return backends.Reply{Outcome: backends.Granted, Base: base, TTL: ttl, Contended: t.wanted(seen)}, nil
}

// takeBack undoes a grant to an attempt that was settled under way.
func (t *talk) takeBack() error {
	if _, err := t.finish(0); err != nil {
		return err
	}
	return &fault{backends.ErrSettled, true}
}

// leftover reports whether the key has a token of this session that is settled:
// then nobody has it.
func (t *talk) leftover(s sight) bool {
	if s.foreign || s.lease.resting || s.lease.token.Session() != t.attempt.Token.Session() {
		return false
	}
	return t.b.memory.settled(backends.Attempt{Key: t.attempt.Key, Token: s.lease.token})
}

// held is the answer about a key that another has.
func (t *talk) held(seen sight, r backends.Request) backends.Reply {
	reply := backends.Reply{Outcome: backends.Held, Retry: pace(r.Probe)}
	if seen.foreign {
		return reply // it would not look at a wait item
	}
	if seen.lease.resting {
		reply.Holder = seen.lease.label
		return reply // nobody would look at a wait item
	}
	if seen.lease.granted {
		reply.Holder = seen.lease.label
		reply.HeldFor = t.b.clock.heldFor(seen.lease)
	}
	// Somebody took the key that this session stood back for.
	t.b.memory.standAside(r.Attempt, 0)
	if r.Queue {
		t.ask(seen)
	}
	return reply
}
