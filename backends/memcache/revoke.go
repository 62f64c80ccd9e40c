package memcache

import (
	"bytes"
	"context"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// revokeLife is how long a revoke item stays that no release has deleted, in s. The
// lease that it means has a day at most, and what it has left nobody else can tell.
const revokeLife = 25 * 60 * 60

// Revoke writes an item beside the key that names its lease; the holder reads it
// with the key when it renews, and deletes it when it releases. The lock's own item
// can't be marked: a swap sets its expiry anew, and that is known to nobody.
func (b *Backend) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	t, err := b.talk(ctx, backends.Attempt{Key: key})
	if err != nil {
		return backends.NobodyHolds, err
	}
	defer t.end()
	var meant *sight // the lease to be deleted
	for range rounds {
		seen, err := t.look()
		if err == nil {
			found := seen.holds(r.Base)
			switch {
			case meant != nil && !seen.sameLease(meant):
				// By its holder, by its end, or by a try of ours whose answer was lost.
				return backends.Deleted, nil
			case found == backends.Deleted, r.Now && (found == backends.Marked || found == backends.Foreign):
				meant = &seen
				if err = t.erase(seen.lock); err == nil {
					t.unmark(seen)
					return backends.Deleted, nil
				}
			case found != backends.Marked || seen.revoked():
				return found, nil
			default:
				if err = t.markRevoked(seen); err == nil {
					return backends.Marked, nil
				}
			}
		}
		if !answered(err) && !again(err) {
			return backends.NobodyHolds, err
		}
	}
	return backends.NobodyHolds, backends.Unavailable(name, errChanging)
}

// holds says what a revocation finds: Marked is a lease that it can mark, and that
// has minted base, if that is not 0; Deleted is a rest after such a one, to be deleted.
func (s *sight) holds(base uint64) backends.Revoked {
	switch {
	case s.lock == nil, !s.foreign && !s.lease.granted && !s.lease.resting: // a token alone is nobody's lease
		return backends.NobodyHolds
	case base != 0 && (s.foreign || base < s.lease.first || base > s.lease.base):
		return backends.Superseded
	case s.foreign:
		return backends.Foreign
	case s.lease.resting:
		return backends.Deleted
	}
	return backends.Marked
}

// sameLease reports whether the key has what it had at another look, renewals apart.
func (s *sight) sameLease(o *sight) bool {
	if s.lock == nil || s.foreign || o.foreign {
		return s.lock != nil && s.foreign && o.foreign && bytes.Equal(s.lock.Value, o.lock.Value)
	}
	return s.lease.granted == o.lease.granted && s.lease.resting == o.lease.resting && s.lease.token == o.lease.token && s.lease.first == o.lease.first
}

// markRevoked names the lease in the key's revoke item. It replaces what was seen
// alone: another revocation may have come meanwhile, of a later lease.
func (t *talk) markRevoked(seen sight) error {
	item := &gomemcache.Item{Key: t.items.revoke, Value: seen.lease.name(), Expiration: revokeLife}
	return t.do(func(w wire) error {
		if seen.revoke == nil {
			return w.add(item)
		}
		item.CasID = seen.revoke.CasID
		return w.cas(item)
	})
}

// unmark deletes a revoke item once the key's lease is over, whichever it meant. It is
// a hint: none that stays means a later lease.
func (t *talk) unmark(s sight) {
	if s.revoke != nil {
		_ = t.erase(s.revoke)
	}
}
