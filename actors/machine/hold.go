package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A Spec is what a caller asks of an acquire.
type Spec struct {
	Expires time.Duration // how long the hold is valid unless renewed
	MaxHold time.Duration // with Renew: no longer than this (0: no bound)
	Timeout time.Duration // how long to wait at most (0: no bound)
	AtLeast time.Duration // the key is nobody else's before that has passed since the grant, whenever the hold ends
	Owner   string        // the label shown to others; empty: Config.Owner
	Renew   bool          // renew the hold until it is released
	Try     bool          // one try, never queued; Timeout bounds the try

	// Confirmed grants the hold under no lease that is not confirmed: the caller shows its Deadline to others.
	Confirmed bool

	Kind backends.Kind // what the hold may overlap; with AtLeast: nothing
	N    int32         // of Slots: how many slots there are, as the caller says
}

// lasts returns for how long a lease has to keep the key from others, from the grant on.
func (s *Spec) lasts() time.Duration { return max(s.Expires, s.AtLeast) }

// A Hold is one caller's acquire and, once granted, its possession of a key. The
// caller sets Spec and Tag before the first event; the rest is the machine's.
type Hold struct {
	Spec Spec
	Tag  any // the caller's own: it comes back with each effect

	// Set by an Offer, then immutable.
	Fence   uint64
	Granted Instant

	// Within is set before the first event: its caller has that hold of the key, and would wait for itself. See nest.
	Within *Hold

	Deadline Instant // when the hold ends unless it is renewed; an Offer or a Move says that it has changed
	Over     Instant // when it ended without a release; 0 before that

	Unused bool // set before its Release: its caller never had it, so its key need not rest

	arrived    Instant
	until      Instant // when its caller has waited long enough: for the key, or for the end of its release
	bound      Instant // what Deadline may not pass (MaxHold); 0: none
	prev, next *Hold   // its neighbours in its list
	under      *leased // by which it was offered; nil before
	peer       *Hold   // the next under the same share
	listed     list    // in which list it is
	kind       backends.Kind
	nested     bool // while it waits: it joins Within, past the others
	short      bool // it ends with a lease that is not confirmed, before its Expires is over: see give
	revoked    bool // while among the holders: told to stop, and not counted as a loss again
	watched    bool // a Watch is unanswered
	Handoff    bool // set by an Offer: it is under a lease that was there already
	Lingers    bool // set before its Released: its lease lingers, since nobody wants the key
}

// CameAt sets when the caller came, for Why. It is for an acquire that its caller has
// given up by then, and that gets no Arrive.
func (h *Hold) CameAt(now Instant) { h.arrived = now }

// has reports whether the hold is there, and was not revoked.
func (h *Hold) has() bool { return h.listed == inHolders && !h.revoked }

// Revoked reports whether the hold's lease was revoked before its release.
func (h *Hold) Revoked() bool { return h.revoked }

// Outcome is the answer to a release or a request of the hold: a hold that was
// revoked had ended before, whatever became of its lease.
func (h *Hold) Outcome(err error) error {
	switch {
	case !h.revoked:
		return err
	case err == nil || backends.IsNotHeld(err):
		return backends.ErrRevoked
	}
	return backends.Wrap(backends.ErrRevoked, "", err)
}

// renewAt returns when a renewed hold wants its next renewal: pace times a third of
// its length after the last. It is never, once the hold has reached its caller's
// bound.
func (h *Hold) renewAt(pace float64) Instant {
	if h.Deadline == h.bound {
		return h.Deadline.Add(time.Hour)
	}
	return h.Deadline.Add(part(h.Spec.Expires/3, pace) - h.Spec.Expires)
}

// endsAt returns when a hold that nobody releases ends, and whether it is lost then
// rather than expired. It is lost a little before its deadline, so that it learns of
// that in time, if a renewal was due and none came (unproved: the lease's last one
// failed), or no confirmation. A hold at its caller's bound expires; one that was revoked
// has been told, and its time is its own to the end.
func (h *Hold) endsAt(unproved bool) (at Instant, lost bool) {
	if h.revoked || h.Deadline == h.bound || !h.Spec.Renew && !h.short && !unproved {
		return h.Deadline, false
	}
	return h.Deadline.Add(-min(25*time.Millisecond, h.Spec.Expires/20)), true
}

// extendTo moves the deadline, never to an earlier time, and reports whether it moved.
func (h *Hold) extendTo(t Instant) bool {
	if h.bound != 0 {
		t = min(t, h.bound)
	}
	moved := t > h.Deadline
	h.Deadline = max(t, h.Deadline)
	return moved
}

// grantedAt sets what an offer under l says.
func (h *Hold) grantedAt(now Instant, l *leased) {
	h.under = l
	h.Granted, h.Fence, h.Handoff = now, l.fence(), l.granted
	h.boundFrom(now)
	h.extendTo(now.Add(h.Spec.Expires))
	if h.Deadline > l.deadline { // it is not confirmed: see opens
		h.Deadline, h.short = l.deadline, true
	}
}

// boundFrom sets what the deadline may not pass, of a hold whose time begins then.
func (h *Hold) boundFrom(t Instant) {
	if h.Spec.Renew && h.Spec.MaxHold > 0 {
		h.bound = t.Add(h.Spec.MaxHold)
	}
}
