package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// An Event is what happened to a key. The set is closed.
type Event interface{ event() }

type (
	// Arrive says that somebody wants the key. The answer is an Offer, a Refuse or a TimeOut.
	Arrive struct{ *Hold }

	// Leave says that a waiter has given up; no answer reaches it any more.
	Leave struct{ *Hold }

	// Taken says that the caller that was offered the key takes it. It follows the Offer.
	Taken struct{}

	// Withdrawn says that the caller that was offered the key had given up before. It follows
	// the Offer, in the place of Taken; the Leave of that hold comes later.
	Withdrawn struct{}

	// Release says that a holder lets go. The answer is a Released, in time or at once.
	Release struct{ *Hold }

	// Extend says that a holder asks for time, or whether the hold is still its own. The answer
	// is an Extended.
	Extend struct{ *Extension }

	// Downgrade says that the holder of an exclusive hold goes on with a shared one: from now on, whether the backend
	// answers or not. The answer is an Extended, once a renewal has said so to the backend.
	Downgrade struct{ *Extension }

	// Watch says that a holder wants to know when others wait for the key. The answer is
	// a Wanted, at once or later, unless the hold ends before.
	Watch struct{ *Hold }

	// Disown says that the lease is to end at once, whoever holds it here. The answer is a
	// Disowned.
	Disown struct{ *Disowning }

	// Answered says that the backend call of an earlier Ask is over.
	Answered struct{ *Call }

	// Woken says that the backend pushed something about the key.
	Woken struct{ Kind backends.WakeKind }

	// Gave says that the backend pushed: the key's lease was given to this process's attempt, as it was asked
	// for by the call of that number. It may be late, repeated, or somebody else's word.
	Gave struct {
		Attempt, Ask, Base uint64
		TTL                time.Duration
		Contended          bool
	}

	// Repeated says that the backend repeats the newest call of our attempt there, so that it keeps its place: see
	// backends.Repeater. The number is that of the repetition. It comes before that is sent, beside any call in flight.
	Repeated struct {
		Attempt, Ask uint64
		Alive        time.Duration // as Call.Alive
		Sent         Instant       // the repetition is sent later
	}

	// Tick says that it is time to look, or that somebody wants the machine to.
	Tick struct{}

	// Close says that nobody gets the key any more, and that a lease goes back.
	Close struct {
		By Instant // when to give up what the backend doesn't answer
	}

	// Panicked says that the step or the effects of Event panicked. Everything is
	// forgotten except for those who rely on it: each waiter and holder is told, and the
	// attempt is settled in the background.
	Panicked struct {
		Event Event
		Err   error
	}
)

func (Arrive) event()    {}
func (Leave) event()     {}
func (Taken) event()     {}
func (Withdrawn) event() {}
func (Release) event()   {}
func (Extend) event()    {}
func (Downgrade) event() {}
func (Watch) event()     {}
func (Disown) event()    {}
func (Answered) event()  {}
func (Woken) event()     {}
func (Gave) event()      {}
func (Repeated) event()  {}
func (Tick) event()      {}
func (Close) event()     {}
func (Panicked) event()  {}

// An Extension is a request to move a hold's deadline, or to ask the backend for it.
type Extension struct {
	Hold  *Hold
	By    time.Duration
	Check bool  // it moves nothing, and is answered by a renewal that was sent after it came
	As    *Spec // the hold goes on as if it had been granted to this now: By is its Expires; nil: as it was
	Tag   any   // the caller's own

	asked  Instant // when it came
	until  Instant // when to give up
	next   *Extension
	listed bool // it is unanswered
	turns  bool // it is a Downgrade
}

// A Disowning is a request to end this process's lease.
type Disowning struct {
	Base uint64 // which the lease must have minted; 0: any
	Tag  any    // the caller's own
	Ours bool   // there is such a lease; set before the Disowned

	until  Instant // when to give up
	next   *Disowning
	listed bool // it is unanswered
}

// Verb is what a backend call does.
type Verb uint8

// The verbs.
const (
	Acquiring Verb = iota
	Renewing
	Releasing
	Cancelling
	Looking
)

func (v Verb) String() string {
	return [...]string{"acquire", "renew", "release", "cancel", "look"}[v]
}

// A Call is one backend call: what is asked and, when it comes back as an Answered,
// what was answered. At most one of a key is in flight.
type Call struct {
	Verb      Verb
	Attempt   uint64        // its number
	Kind      backends.Kind // what the attempt asks for, and what its lease may be by now
	N, Want   int32         // of an acquire or a renewal of slots: see backends.Request
	Ambiguous bool          // an earlier request of the attempt was never answered
	Long      bool          // of a release: more than backends.LongLease may be left of the lease
	TTL       time.Duration // of an acquire or a renewal
	Known     uint64        // of a renewal: the newest base
	Owner     string        // of an acquire: the holder's label
	Queue     bool          // of an acquire: the caller will wait
	Ask       uint64        // of an acquire that is queued: its number
	Alive     time.Duration // of an acquire that is queued: how long it keeps its place
	Probe     int           // of an acquire: how often the attempt was answered Held
	AtLeast   time.Duration // for how long the key is nobody else's from now: of a release, or else though this process crashes
	Budget    time.Duration // how long the call may take
	Began     Instant
	Tag       any // the shell's own

	wanted bool // while it was in flight, a push said that others wait
	again  bool // while it was in flight, a push said that the backend answers again

	// Set before the call is Answered.
	Sent   Instant // before the request was sent
	Reply  backends.Reply
	Info   *backends.Info // of a look
	Err    error
	Chance float64 // random, from 0 to below 1: it spreads pauses and renewals
}

// unanswered reports whether the call may have run, for all that was answered: then a copy of its
// request may be on its way yet.
func (c *Call) unanswered() bool {
	switch {
	case c.Verb == Looking:
		return false
	case c.Verb == Acquiring && c.Err == nil:
		return c.Reply.Outcome == backends.MayHaveRun
	case c.Verb == Acquiring:
		return c.Reply.Outcome != backends.NotRun
	}
	return c.Err != nil && !backends.IsNotHeld(c.Err) && !backends.IsRevoked(c.Err)
}
