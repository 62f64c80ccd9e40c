package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// A revocation is of the lease that is there, or of none. Which one was meant
// is told by a base; without one it is whichever there is.
func whoseChecks() []check {
	return []check{
		{"a key that nobody holds is not revoked", revokeNobody, revokes, noRevoker},
		{"a lease that its waiter has not come for is its own, or nobody's yet", revokeUnclaimed, revokes, noRevoker},
		{"an earlier lease's base revokes nothing", revokeSuperseded, revokes, noRevoker},
		{"every base that the lease has minted revokes it", revokeByBase, revokes, noRevoker},
		{"a base revokes no later lease, though they cross", revokeCrosses, revokes, noRevoker},
		{"a deletion by base spares other leases", deleteByBase, revokes, noRevoker},
	}
}

func revokeNobody(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key, base := st.key("k"), uint64(1)
	for range 2 { // never seen; and with what a release left behind
		for _, r := range []backends.Revocation{{}, {Base: base}, {Now: true}, {Base: base, Now: true}} {
			if err := b.revoke(key, r, backends.NobodyHolds); err != nil {
				return err
			}
		}
		r, reply, err := a.hold(key, long)
		if err != nil {
			return err
		}
		if reply, err = a.renewed(r, reply.Base); err != nil {
			return err
		}
		base = reply.Base
		if err := a.free(r); err != nil {
			return err
		}
	}
	return nil
}

// revokeUnclaimed: a lease that the waiter may hold already, since it was told of all of it, is
// revoked like another. Where it has to ask first, it may not even run any more, and where it
// does it has no hold yet that could be asked to end.
func revokeUnclaimed(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	for round := range unclaimedRounds {
		held, waiter, reply, err := behind(a, b, st.key(fmt.Sprint(round)))
		if err != nil {
			return err
		}
		if err := a.free(held); err != nil {
			return err
		}
		revoker := whole(c.Backend).(backends.Revoker)
		found, err := revoker.Revoke(c.ctx, held.Key, backends.Revocation{Base: reply.Base})
		if err != nil || found != backends.NobodyHolds && found != backends.Superseded {
			return fmt.Errorf("revoke by the base of the lease before found %q, %w", found, err)
		}
		if found, err = revoker.Revoke(c.ctx, held.Key, backends.Revocation{}); err != nil {
			return err
		}
		if found == backends.NobodyHolds {
			if err := c.revoke(held.Key, backends.Revocation{Now: true}, found); err != nil {
				return err
			}
			return b.served(waiter, grace)
		}
		// It has what is left of the lease, so the ttl that was asked for is not.
		if reply, err = b.Acquire(b.ctx, waiter); err != nil || reply.Outcome != backends.Granted {
			return fmt.Errorf("the waiter's next attempt: %v, %w", reply.Outcome, err)
		}
		_, err = b.Renew(b.ctx, waiter.Attempt, long, reply.Base)
		if freed := b.free(waiter); freed != nil || found != backends.Marked || err != nil && !backends.IsRevoked(err) {
			return fmt.Errorf("revoke found %q, the renewal says %w, the release %w", found, err, freed)
		}
		if err != nil {
			return nil
		}
	}
	return fmt.Errorf("no lease was seen to be revoked before its waiter came for it, in %d rounds", unclaimedRounds)
}

// unclaimedRounds: the lease may run out before its waiter comes for it.
const unclaimedRounds = 10

// revokeSuperseded: who names a fence means the hold that had it.
func revokeSuperseded(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	old, reply, err := a.hold(key, long)
	if err != nil {
		return err
	}
	bases := []uint64{reply.Base}
	if reply, err = a.renewed(old, reply.Base); err != nil {
		return err
	}
	bases = append(bases, reply.Base)
	// The next waits for it, and so is given the lease; the one after it finds it free.
	waiter := b.request(key, long)
	if _, err := b.want(backends.Held, waiter); err != nil {
		return err
	}
	if err := a.free(old); err != nil {
		return err
	}
	if reply, err = b.await(waiter, grace); err != nil {
		return err
	}
	if err := spared(b, c, waiter, reply, bases); err != nil {
		return err
	}
	bases = append(bases, reply.Base)
	if err := b.free(waiter); err != nil {
		return err
	}
	// It had left the key to another, and may stand back for a moment longer.
	last := a.request(key, long)
	if reply, err = a.await(last, grace); err != nil {
		return err
	}
	return first(spared(a, c, last, reply, bases), a.free(last))
}

// spared insists that none of these bases revokes or deletes the holder's lease.
func spared(holder, other *session, held backends.Request, reply backends.Reply, bases []uint64) error {
	for _, base := range bases {
		for _, now := range []bool{false, true} {
			if err := other.revoke(held.Key, backends.Revocation{Base: base, Now: now}, backends.Superseded); err != nil {
				return err
			}
		}
	}
	_, err := holder.renewed(held, reply.Base)
	return err
}

func revokeByBase(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	held, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	bases := []uint64{reply.Base}
	// A repeat of the acquire, whose first answer may yet arrive, and renewals.
	if reply, err = a.want(backends.Granted, held); err != nil {
		return err
	}
	bases = append(bases, reply.Base)
	for range 2 {
		if reply, err = a.renewed(held, reply.Base); err != nil {
			return err
		}
		bases = append(bases, reply.Base)
	}
	for _, base := range bases {
		if err := c.revoke(held.Key, backends.Revocation{Base: base}, backends.Marked); err != nil {
			return err
		}
	}
	if err := first(a.refused(held, reply.Base), a.free(held)); err != nil {
		return err
	}
	// And of a lease that was given by a release.
	held, waiter, _, err := behind(a, b, held.Key)
	if err != nil {
		return err
	}
	if err := a.free(held); err != nil {
		return err
	}
	if reply, err = b.await(waiter, grace); err != nil {
		return err
	}
	return first(
		c.revoke(held.Key, backends.Revocation{Base: reply.Base}, backends.Marked),
		b.refused(waiter, reply.Base),
		b.free(waiter),
	)
}

func deleteByBase(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	old, was, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := c.revoke(old.Key, backends.Revocation{Base: was.Base, Now: true}, backends.Deleted); err != nil {
		return err
	}
	next, reply, err := b.hold(old.Key, long)
	if err != nil {
		return err
	}
	if err := spared(b, c, next, reply, []uint64{was.Base}); err != nil {
		return err
	}
	return first(
		c.revoke(old.Key, backends.Revocation{Base: reply.Base, Now: true}, backends.Deleted),
		c.revoke(old.Key, backends.Revocation{Base: reply.Base, Now: true}, backends.NobodyHolds),
		b.gone(next),
	)
}

// crossings is how often a revoke runs beside a release.
const crossings = 50

// revokeCrosses: a backend that looks, and then marks, could mark what came in
// between.
func revokeCrosses(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range crossings {
		held, reply, err := a.hold(st.key("k"), long)
		if err != nil {
			return err
		}
		meant := backends.Revocation{Base: reply.Base, Now: round%2 == 0}
		started, done := make(chan struct{}), make(chan error, 1)
		go func() { // ends with its call; waited for below
			close(started)
			found, err := whole(b.Backend).(backends.Revoker).Revoke(b.ctx, held.Key, meant)
			if err == nil && found == backends.Foreign {
				err = fmt.Errorf("revoke found %q", found)
			}
			done <- err
		}()
		<-started
		if err := a.Release(a.ctx, held.Attempt); err != nil && !backends.IsNotHeld(err) {
			return first(err, <-done)
		}
		next := a.request(held.Key, long)
		reply, err = a.await(next, grace)
		if err := first(<-done, err); err != nil {
			return err
		}
		if _, err := a.renewed(next, reply.Base); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := a.free(next); err != nil {
			return err
		}
	}
	return nil
}
