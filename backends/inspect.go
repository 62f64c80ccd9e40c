package backends

import (
	"context"
	"slices"
	"time"
)

// An Inspector is a backend that can tell who holds a key.
type Inspector interface {
	Inspect(ctx context.Context, key string) (Info, error)
}

// Info is what a backend knows of a key. A nil field is unknown, not zero.
type Info struct {
	Held      bool
	Foreign   bool           // the holder is another library's client
	Resting   bool           // nobody's: it rests until ExpiresIn; Held is set, Holder may name who had it last
	Revoked   bool           // its lease was revoked, and it has not released it yet
	Holder    *string        // its label
	Base      *uint64        // the base of its newest fence
	HeldFor   *time.Duration // since its lease was granted
	ExpiresIn *time.Duration // unless renewed
	Waiting   *int           // sessions waiting in the backend's queue
	// Waiters are those sessions in the order of the queue, first in line first. It is
	// nil where the backend can't name them, and empty where nobody waits.
	Waiters []Waiter
	// Kind is what is held. Of shares Out tells how many there are, or how many permits of slots, and
	// Holders has MostHolders of them at most. Holder, HeldFor, Base and First are those of one of
	// them, ExpiresIn is that of the longest, and Revoked says that all are.
	Kind    Kind
	Out     int
	Holders []Holder
	// First is the base that was minted when the lease was granted: it has minted
	// those from First to Base, and no others.
	First *uint64
}

// MostHolders is how many of those that have shares Inspect names.
const MostHolders = 100

// ShareOut has the info tell of shares that are out: their kind, how many they are, or how many permits, and a
// hundred of them at most. It is for backends.
func (i *Info) ShareOut(kind Kind, out int, holders []Holder) {
	i.Kind, i.Out, i.Holders = kind, out, holders
	if len(holders) == 0 {
		return // what they are is lost
	}
	one := &holders[0]
	i.Holder, i.HeldFor, i.First, i.Base = one.Label, one.HeldFor, &one.First, &one.Base
	i.Revoked = !slices.ContainsFunc(holders, func(h Holder) bool { return !h.Revoked })
}

// A Waiter is a session that waits in the backend's queue. A nil field is unknown.
type Waiter struct {
	Label *string        // of its request
	For   *time.Duration // since it first asked
	Kind  Kind           // that it waits for
	N     int            // of slots: how many it says there are
}
