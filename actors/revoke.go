package actors

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// proofLasts is how old the proof of a lease may be at a grant, where the lease may
// have gone without a push that says so. Either another server took the place of
// the one that gave it, or somebody revoked it and the backend has no pushes. A
// lost server is noticed at once only by clients that talk to it. Before it is
// replaced, others have to miss it for longer than proofLasts (Sentinel's
// down-after-milliseconds, a Cluster's node timeout). A hot key is renewed about
// every 250 ms in any case.
const proofLasts = 500 * time.Millisecond

const (
	// deleteAfter is the time from the mark of a revocation to the deletion of its
	// lease: proofLasts, plus the difference that two clocks may have. By then nobody
	// hands a hold on without a renewal that has met the mark.
	deleteAfter = proofLasts + proofLasts/marginShare + leastMargin
	// lookEvery is how often the key is looked at meanwhile: most holders stop at once.
	lookEvery = 20 * time.Millisecond
	// probeEvery is how often the backend is asked for a revoked lease while callers
	// wait behind a hold that has not stopped: somebody may have deleted the lease.
	probeEvery = time.Second
)

// Revoke ends somebody's hold of key, as [backends.Revoker] does; but with r.Now no
// process hands on a lease that is deleted. A lease of our own actor ends there,
// and is released by its token. Another process's lease is marked first, and
// deleted when that process has stopped handing it on: a deletion has no way to
// wait for that.
func (c *Coordinator) Revoke(ctx context.Context, b backends.Revoker, key string, r backends.Revocation) (backends.Revoked, error) {
	full := c.cfg.Prefix + key
	if r.Now {
		if ours, err := c.disown(key, r.Base); ours {
			return backends.Deleted, err
		}
	}
	found, err := b.Revoke(ctx, full, backends.Revocation{Base: r.Base, Reason: r.Reason})
	switch {
	case err != nil:
		return found, err
	case found == backends.Marked:
		if e := c.directory.find(key); e != nil {
			e.post(wake{backends.Revoking}) // it may be ours, and not every backend says so
		}
		if r.Now {
			return c.deleteMarked(ctx, b, full, r.Base)
		}
	case found == backends.Foreign && r.Now:
		return b.Revoke(ctx, full, r) // there is nobody to tell
	}
	return found, nil
}

// deleteMarked deletes a lease that was marked as revoked, unless its holder gives
// it back before that. base is one that it minted, if known.
func (c *Coordinator) deleteMarked(ctx context.Context, b backends.Revoker, full string, base uint64) (backends.Revoked, error) {
	patience := time.NewTimer(deleteAfter)
	defer patience.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	inspector, inspects := c.backend.(backends.Inspector)
	for waiting := true; waiting; {
		if inspects {
			switch i, err := inspector.Inspect(ctx, full); {
			case err != nil:
				return backends.NobodyHolds, err
			case !i.Revoked:
				return backends.Deleted, nil // its holder has given it back
			case base == 0 && i.Base != nil:
				base = *i.Base // so that no later lease is deleted in its place
			}
		}
		select {
		case <-look.C:
		case <-patience.C:
			waiting = false
		case <-ctx.Done():
			return backends.NobodyHolds, backends.Interrupted(ctx, c.can.Name)
		}
	}
	found, err := b.Revoke(ctx, full, backends.Revocation{Base: base, Now: true})
	if err != nil {
		return found, err
	}
	return backends.Deleted, nil // by us, or by its holder or its end before
}

// disown ends all holds on this process's lease of the key, if it minted base (0:
// any base), and gives the lease back. It returns false if there is no such lease.
func (c *Coordinator) disown(key string, base uint64) (ours bool, err error) {
	e := c.directory.find(key)
	if e == nil {
		return false, nil
	}
	d := &disowning{base: base, done: make(chan error, 1)}
	if !e.post(disown{d}) {
		return false, nil
	}
	err = <-d.done
	return d.ours, err
}

// A disowning is a request to end a lease of this process at once.
type disowning struct {
	base  uint64
	until instant    // when to give up
	ours  bool       // there is such a lease; written by the actor before it answers
	done  chan error // one slot
}

// disown tells the holders that their lease is revoked, and takes them off it. The
// lease goes back by its own token, so that no other lease can end instead. Nothing
// is handed on under it meanwhile (see yields). Waiters here ask anew, behind those
// that wait elsewhere.
func (a *keyActor) disown(d *disowning, now instant) {
	a.expire(now)
	l := &a.lease
	if !l.own || d.base != 0 && (d.base < l.first || d.base > l.base) {
		d.done <- nil
		return
	}
	d.ours, d.until = true, now.add(min(callTimeout, l.deadline.sub(now)))
	a.revoke(backends.ErrRevoked)
	for h := a.holders.first; h != nil; h = a.holders.first {
		a.holders.remove(h)
		h.over = now
	}
	a.lingerUntil = 0
	a.disowns = append(a.disowns, d)
}

// answerDisowns tells the revokers of our lease how its end went.
func (a *keyActor) answerDisowns(err error) {
	if backends.IsNotHeld(err) {
		err = nil // it had gone before
	}
	for _, d := range a.disowns {
		d.done <- err
	}
	a.disowns = nil
}

// timeoutDisowns answers the revokers that have waited long enough for a lease.
func (a *keyActor) timeoutDisowns(now instant) {
	for _, d := range a.disowns {
		if now >= d.until {
			a.answerDisowns(a.releaseGoesOn())
			return
		}
	}
}

// revoke tells the holders of a revoked lease to stop. Their holds are lost to
// them, but they stay holders until they release: nobody else gets the key while
// they may still be at work, up to their deadlines. No renewal moves these any
// more. Waiters here then ask for a lease of their own.
func (a *keyActor) revoke(why error) {
	a.lease.revoked, a.lastErr = true, nil
	for h := a.holders.first; h != nil; h = h.next {
		if h.revoked {
			continue
		}
		h.revoked = true
		a.cancelExtends(h)
		a.c.counters.losses.Add(1)
		a.c.noteOf(h, "hold revoked")
		h.end(backends.Wrap(backends.ErrLost, "", why))
	}
}

// probeAt returns when to ask for a revoked lease again; 0 if nobody here waits
// behind it. While the lease is there, its holders have their time to stop. If it
// was deleted, others may have the key, and the waiters here have to ask for it.
func (a *keyActor) probeAt() instant {
	switch {
	case !a.lease.revoked || a.holders.len == 0 || a.queue.len == 0:
		return 0
	case a.doubts():
		return max(a.renewRetry, 1)
	}
	return max(a.lease.renewed.add(probeEvery), a.renewRetry)
}

// nextProbe asks for a revoked lease, without giving it more time.
func (a *keyActor) nextProbe(now instant) *call {
	at := a.probeAt()
	if at == 0 || now < at {
		return nil
	}
	ttl := max(a.lease.deadline.sub(now).Truncate(time.Millisecond), time.Millisecond)
	return &call{verb: renewing, number: a.lease.attempt, ttl: ttl, known: a.lease.base}
}
