package lockclient

import (
	"github.com/turnstile-go/turnstile/backends"
)

// A Kind says what a hold may overlap. Its String is "exclusive", "shared" or "slots".
type Kind = backends.Kind

// The kinds of hold.
const (
	KindExclusive = backends.Exclusive // nothing
	KindShared    = backends.Shared    // other shared holds of the key
	KindSlots     = backends.Slots     // other slot holds of the key, so many at a time
)

// MaxSlots is the highest n of Slots.
const MaxSlots = backends.MaxSlots

// Shared makes the hold a shared one: it overlaps other shared holds of the key, in any
// process, and no others. It waits for those that came before it, so neither readers nor
// writers starve. The shared holds of a process join and follow one another without a call
// to the backend, while no other process waits.
//
// An acquire with Shared whose ctx comes from a shared hold of the same key, which goes on,
// is granted at once, past those who wait: they wait for that hold. Nothing turns a shared
// hold into an exclusive one; Lock.Downgrade is the way back.
//
// A TryAcquire can get ErrHeld while the first shared hold of another process is just being
// granted: for a round trip, or for 1 s if that process has died.
//
// ErrInvalid: with Slots, AtLeast or in Lead; over a backend that keeps exclusive holds
// only (memcache://, open://, or one of the caller's own that does not declare
// Capabilities.Kinds).
func Shared() Option { return func(o *options) { o.Shared = true } }

// Slots makes the hold one of n: it overlaps other slot holds of the key, in any process, and
// no others. Of the slot holds that say n or less, at most n are there at any time. n is 1 to
// MaxSlots (10 000).
//
// n is the caller's own word, and nothing is stored. To change a limit, let new callers say
// the new one. A caller that says less than others waits until fewer than its own n holds
// are there, and those behind it wait with it.
//
// An acquire with Slots whose ctx comes from a hold of the same key fails with ErrDeadlock,
// unless it can be granted at once.
//
// ErrInvalid: another n; with Shared, AtLeast or in Lead; over a backend that keeps exclusive
// holds only: see Shared.
func Slots(n int) Option { return func(o *options) { o.Slots, o.Slotted = n, true } }

// kindOf returns the kind of hold that the options say, and n of Slots.
func kindOf(o *options) (Kind, int32) {
	switch {
	case o.Shared:
		return KindShared, 0
	case o.Slotted:
		return KindSlots, int32(min(o.Slots, MaxSlots)) // another n is refused by checkKind
	}
	return KindExclusive, 0
}

// checkKind checks the options of a hold that is not exclusive.
//
//go:noinline
func (c *Client) checkKind(o *options) error {
	can := c.coordinator.Capabilities()
	switch {
	case o.Shared && o.Slotted:
		return invalid("Shared and Slots: a hold is of one kind")
	case o.Slotted && (o.Slots < 1 || o.Slots > MaxSlots):
		return invalid("Slots of %d: 1 to %d", o.Slots, MaxSlots)
	case o.AtLeast > 0:
		return invalid("AtLeast: of exclusive holds only")
	case !can.Kinds:
		return invalid("%s keeps exclusive holds only: embedded://, file:// and redis:// keep shared holds and slots", can.Name)
	}
	return nil
}

// Downgrade turns an exclusive hold into a shared one, without letting go of the key: those
// that wait for shared holds, and come next, are let in. Fence, Deadline and Context stay as
// they are. It returns nil once the backend has said so, and of a shared hold at once.
//
// Errors:
//
//   - ErrInvalid for a slot hold, one with AtLeast, and over a backend that keeps
//     exclusive holds only: see Shared. Nothing has changed.
//   - ErrNotHeld if the hold has ended, also meanwhile; ErrRevoked as well, if it was revoked.
//   - ErrUnavailable if the backend did not answer within 2 s or the rest of the hold. The
//     hold counts as shared all the same, and the backend is asked again until it answers.
func (l *Lock) Downgrade() error {
	if l == nil {
		return ErrNotHeld
	}
	return l.hold.Downgrade()
}
