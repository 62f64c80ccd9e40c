package backends

import (
	"context"
	"fmt"
)

// A Revoker is a backend whose leases somebody can end who does not hold them.
//
// A revoked lease is still its holder's: nobody else gets the key before the
// holder has stopped and released it, or the lease's time is over. It is never
// made longer, so that this is at most what it has left. (memcached alone has no way
// to look and write in one step: a renewal that is under way there may still pass.)
type Revoker interface {
	// Revoke marks the lease of key, a full key, as revoked, tells its holder where
	// there is a way to, and returns what it found. It may be repeated: the same
	// lease is then Marked again.
	//
	// From then on Renew answers the lease's holder with ErrRevoked, and Release
	// works as ever. The mark is of that one lease: a later one knows nothing of it.
	//
	// A key that rests (see Attempt.AtLeast) has no holder to be told: it is Deleted, with
	// or without Now, if Base is 0 or was minted by the lease before the rest.
	Revoke(ctx context.Context, key string, r Revocation) (Revoked, error)
}

// A Revocation says which lease is meant, and how it ends.
type Revocation struct {
	// Base, if not 0, is a fence base: the lease is revoked only if that was minted
	// by it, and not by an earlier one. Of shares it names the one whose first or newest
	// base it is. 0: whatever is there, all shares.
	Base uint64
	// Now deletes the lease at once, whoever has it: a foreign or silent holder's.
	// It goes to the next that waits as in a release; its holder learns of it as of
	// any other loss.
	Now bool
	// Reason is shown to the holder by the error that ends its hold: see RevokedFor.
	// 0 to MaxReason bytes. A backend that does not keep reasons (see
	// Capabilities.Reasons) revokes without it; so does every backend with Now. A
	// lease that was revoked before keeps its first reason.
	Reason string
}

// MaxReason is how long the reason of a revocation may be, in bytes.
const MaxReason = 256

// Revoked is what a Revoke found and did.
type Revoked uint8

const (
	// NobodyHolds: the key is free; where no Gave is sent, also if it was just given to a
	// waiter that has not come for it. Nothing was changed.
	NobodyHolds Revoked = iota
	// Superseded: the lease that is there did not mint Revocation.Base. Nothing
	// was changed.
	Superseded
	// Foreign: another library's client has the key, and there is no telling it.
	// Nothing was changed: its key ends by its ttl, if it has one.
	Foreign
	// Marked: the lease is revoked, and its holder will learn of it.
	Marked
	// Deleted: the lease is gone, or another's by now.
	Deleted
)

// String names what was found as messages do.
func (r Revoked) String() string {
	switch r {
	case NobodyHolds:
		return "nobody holds it"
	case Superseded:
		return "another holder has it by now"
	case Foreign:
		return "held by another library's client"
	case Marked:
		return "revoked"
	case Deleted:
		return "deleted"
	}
	return "unknown"
}

// RevokedFor is ErrRevoked with the revoker's reason, which is quoted, since it is
// somebody else's text. With an empty reason it is ErrRevoked itself.
func RevokedFor(reason string) error {
	if reason == "" {
		return ErrRevoked
	}
	return fmt.Errorf("%w: %q", ErrRevoked, reason)
}

// A Lister is a backend that can tell which keys are held.
type Lister interface {
	// List returns the full keys that begin with prefix and are held, by anybody,
	// sorted. It is no snapshot: keys come and go while it looks. With an empty
	// prefix, a backend that shares its place with other data lists only what is
	// certainly a lock of ours.
	List(ctx context.Context, prefix string) ([]string, error)
}
