package backends

import (
	"context"
	"time"
)

// Kind says what a hold may overlap.
type Kind uint8

// The kinds of hold.
const (
	Exclusive Kind = iota // nothing
	Shared                // other shared holds of the key
	Slots                 // other slot holds of the key: fewer than each of them says
)

// String names the kind as the docs do.
func (k Kind) String() string {
	switch k {
	case Exclusive:
		return "exclusive"
	case Shared:
		return "shared"
	case Slots:
		return "slots"
	}
	return "unknown kind"
}

// MaxSlots is the highest number of slots that a caller may say, and MostWanted how many
// permits one attempt may have.
const (
	MaxSlots   = 10_000
	MostWanted = 64
)

// A Sharer is a backend that keeps leases of all kinds; its Capabilities declare Kinds. A lease
// that is not exclusive is a share: other attempts have shares of the same kind beside it, also
// others of the same session. Share and lock are told apart by Attempt.Kind, which every
// verb reads:
//
//   - Acquire with a Kind other than Exclusive asks for a share. While another attempt has
//     a share of the same kind, it is granted if all that wait ahead of it, and are alive, could
//     be granted as well. The reply's Kind is what it is: a free key is granted as a lock
//     (Exclusive) or as a share, as the backend likes, and a lock that is asked for again as a
//     share becomes one.
//   - A share never grows, and never turns into a lock. A session that wants more asks by
//     a new attempt, its newest; it has one attempt at most that asks.
//   - A share of slots has Reply.Permits, 1 to Request.Want, each good for one hold. A permit's n is
//     the largest N of all requests of its attempt: it is given only while fewer than n
//     permits are out.
//   - Release and Cancel end a share as they end a lock. The other shares are untouched.
//   - A Wake that is Wanted or Revoking names the key, and is for all that the session has of it. Gave is
//     of locks alone; to ask for a share its session gets Given.
//   - Fence bases of all shares of a key come from one sequence.
//
// The attempt's Kind is that of its newest request: an attempt that was once asked for as a share stays one.
type Sharer interface {
	Backend
	// RenewShare is Renew for what is a share, or is to become one by this call: the lock of
	// an attempt that says a Kind other than Exclusive now turns into a share, and those that
	// wait at the head and fit are told. Every later call of that attempt says the same Kind.
	// For a share of slots r.Want is how many permits it keeps, at least 1; what it gives
	// back is nobody's from when that was sent. The reply has Kind and Permits.
	// Otherwise it is as Renew. A lock that became a share goes on: a caller that knows no base but the
	// lock's, since the answer was lost, renews it.
	RenewShare(ctx context.Context, r Request, known uint64) (Reply, error)
}

// A Holder is one share of a key, as Inspect names it. A nil field is unknown.
type Holder struct {
	Label     *string        // its session's
	HeldFor   *time.Duration // since it was granted
	ExpiresIn *time.Duration // unless renewed
	Permits   int            // of slots; 1 for a shared one
	N         int            // of slots: how many its first request said there are; 0: unknown
	First     uint64         // the base of its grant: a Revocation's Base names it so
	Base      uint64         // its newest base, which names it as well
	Revoked   bool
}
