package actors

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

const (
	// deleteAfter is the time from the mark of a revocation to the deletion of its
	// lease: how long a proof of a lease lasts, plus the difference that two clocks may
	// have. By then nobody hands a hold on without a renewal that has met the mark.
	deleteAfter = machine.ProofLasts + machine.ProofLasts/100 + machine.Margin
	// lookEvery is how often the key is looked at meanwhile: most holders stop at once.
	lookEvery = 20 * time.Millisecond
)

// Revoke ends somebody's hold of key, as [backends.Revoker] does; but with r.Now no
// process hands on a lease that is deleted. A lease of our own actor ends there,
// and is released by its token. Another process's lease is marked first, and
// deleted when that process has stopped handing it on: a deletion has no way to
// wait for that.
func (c *Coordinator) Revoke(ctx context.Context, b backends.Revoker, key string, r backends.Revocation) (backends.Revoked, error) {
	full := c.cfg.Prefix + key
	if r.Now {
		others, err := c.markShares(ctx, b, full, r)
		if err != nil {
			return backends.NobodyHolds, err
		}
		switch ours, err := c.disown(key, r.Base); {
		case err == nil && others:
			return c.deleteMarked(ctx, b, full, 0)
		case ours:
			return backends.Deleted, err
		}
	}
	found, err := b.Revoke(ctx, full, backends.Revocation{Base: r.Base, Reason: r.Reason})
	switch {
	case err != nil:
		return found, err
	case found == backends.Marked, found == backends.Deleted: // a lease, or a rest
		if e := c.directory.find(key); e != nil {
			e.post(wake{&backends.Wake{Kind: backends.Revoking}}) // it may be ours, and not every backend says so
		}
		if r.Now && found == backends.Marked {
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
			case !marked(i, base):
				return backends.Deleted, nil // its holder has given it back
			case base == 0 && i.Kind == backends.Exclusive && i.Base != nil:
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
	if base == 0 && c.can.Kinds {
		return c.deleteShares(ctx, b, full)
	}
	found, err := b.Revoke(ctx, full, backends.Revocation{Base: base, Now: true})
	if err != nil {
		return found, err
	}
	return backends.Deleted, nil // by us, or by its holder or its end before
}

// markShares marks all shares of a key as revoked that somebody wants to end now, our own too. It reports whether there
// are any. Our own are given back after that: else the key might pass to another lease, which then were marked.
func (c *Coordinator) markShares(ctx context.Context, b backends.Revoker, full string, r backends.Revocation) (bool, error) {
	inspector, inspects := c.backend.(backends.Inspector)
	if r.Base != 0 || !c.can.Kinds || !inspects {
		return false, nil
	}
	i, err := inspector.Inspect(ctx, full)
	if err != nil || i.Kind == backends.Exclusive {
		return false, err
	}
	found, err := b.Revoke(ctx, full, backends.Revocation{Reason: r.Reason})
	return found == backends.Marked, err
}

// marked reports whether what has that base is there, and revoked, or may be, since not all are named. 0: anything
// that is named.
func marked(i backends.Info, base uint64) bool {
	if i.Kind == backends.Exclusive {
		return i.Revoked
	}
	for _, h := range i.Holders {
		if h.Revoked && (base == 0 || base == h.First || base == h.Base) {
			return true
		}
	}
	return base != 0 && len(i.Holders) >= backends.MostHolders
}

// deleteShares deletes the shares that are marked as revoked, each by its base, so that no later one is deleted with them.
func (c *Coordinator) deleteShares(ctx context.Context, b backends.Revoker, full string) (backends.Revoked, error) {
	for {
		i, err := c.backend.(backends.Inspector).Inspect(ctx, full)
		if err != nil {
			return backends.NobodyHolds, err
		}
		if !marked(i, 0) {
			return backends.Deleted, nil
		}
		for _, h := range i.Holders {
			if !h.Revoked {
				continue
			}
			if found, err := b.Revoke(ctx, full, backends.Revocation{Base: h.First, Now: true}); err != nil {
				return found, err
			}
		}
		if i.Kind == backends.Exclusive { // the key has passed to a lease that is marked as well
			return b.Revoke(ctx, full, backends.Revocation{Base: *i.Base, Now: true})
		}
	}
}

// disown ends all holds on this process's lease of the key, if it minted base (0:
// any base), and gives the lease back. It returns false if there is no such lease.
func (c *Coordinator) disown(key string, base uint64) (ours bool, err error) {
	e := c.directory.find(key)
	if e == nil {
		return false, nil
	}
	done := make(chan error, 1)
	d := &machine.Disowning{Base: base, Tag: done}
	if !e.post(disown{d}) {
		return false, nil
	}
	err = <-done
	return d.Ours, err
}
