// Package backends is the contract between the key actors and the places
// where leases live.
//
// A backend is asked for one attempt at a time and answers with one outcome;
// it does no waiting, no retrying beyond what it can prove harmless, and no
// queueing of local callers: the key actor does all of that once, for every
// backend alike. Raw replies of a server never leave its backend.
//
// Backends live in the folders below; each passes the suite in backendtest.
package backends

import (
	"context"
	"time"
)

// Outcome is what became of one attempt to acquire a lease.
type Outcome uint8

// The four outcomes of an attempt. The zero value is the one that promises
// nothing, so that a forgotten field can't turn into a grant.
const (
	// MayHaveRun: the request was sent and no usable answer came. The backend
	// may hold a lease, or a place in a queue, under the attempt's token until
	// the same attempt is repeated, released or cancelled.
	MayHaveRun Outcome = iota
	// NotRun: the request certainly changed nothing.
	NotRun
	// Held: another owner holds the key. The attempt may be queued.
	Held
	// Granted: the lease is the attempt's own.
	Granted
)

// String names the outcome as the docs do.
func (o Outcome) String() string {
	switch o {
	case MayHaveRun:
		return "may have run"
	case NotRun:
		return "did not run"
	case Held:
		return "held by another"
	case Granted:
		return "granted"
	}
	return "unknown outcome"
}

// An Attempt names one attempt to acquire one key, and the lease that came of
// it. All verbs of a backend take it; the token alone proves ownership.
type Attempt struct {
	Key   string // the full key: 1 to 512 bytes and the prefix, any bytes but NUL
	Token Token
	// Kind is what the attempt asks for, and what its lease may be by now: see Sharer. Only a
	// backend that declares Kinds is asked for anything but Exclusive.
	Kind Kind
	// Ambiguous says that an earlier request of this attempt was sent and never answered,
	// so that a copy of it may still arrive.
	//
	//	Granted, Held, NotRun; renewed, released, cancelled, ErrNotHeld, ErrRevoked   an answer
	//	MayHaveRun; any other error of Renew, Release, Cancel; a call given up        none
	//
	// From the first that was not answered on, every later call of the attempt has it set.
	// A backend whose late requests can do harm has to remember such an attempt once it is
	// released or cancelled. It need not remember one whose requests were all answered, as each
	// is sent once. A backend that remembers every attempt may ignore the field.
	Ambiguous bool
	// Long says of a release that more than LongLease may be left of the lease. A backend that
	// keeps something for as long as that, in case nobody releases it, has to drop it then. One
	// that keeps nothing may ignore the field.
	Long bool
	// AtLeast, if not 0, keeps the key from everybody else for that long from now; only a
	// backend that declares Rests is asked to. It is 0 for a cancel.
	//
	//	of an acquire, a renewal  though its holder's process crashes; the TTL is no shorter
	//	of a release              nobody has the key until then: it rests
	//
	// A lease that was revoked leaves no rest. Neither a late request of the attempt, nor any other but a Revoke, ends or prolongs a
	// rest. A release without AtLeast leaves nothing of what an acquire or a renewal asked for.
	AtLeast time.Duration
}

// LongLease is how much of a lease may be left at its release without Attempt.Long.
const LongLease = 2 * time.Minute

// A Request is an attempt with what the backend needs to carry it out.
type Request struct {
	Attempt

	// TTL is the lease asked for; a backend rounds it up to its own unit.
	TTL time.Duration
	// Label is shown to others as the holder's name. It proves nothing.
	Label string
	// Queue says that the caller will wait: a fair backend may keep a place
	// for the attempt. One try (timeout 0) leaves no trace when it fails.
	Queue bool
	// Probe counts how often this attempt was answered Held before, for
	// backends whose Retry backs off.
	Probe int
	// Ask is the number of this call of a queued attempt: random, from 1 to MaxAsk, and a new one
	// for each call. A backend that sends Gave keeps the number of the newest call that it has seen of the
	// attempt, and nobody else can read it. 0: there is none, as Queue is not set.
	Ask uint64
	// N and Want are of Slots alone: how many slots the caller says there are, 1 to MaxSlots, and
	// how many permits it can use at once, 1 to MostWanted and at most N.
	N, Want int
	// Alive is how long after this call its session counts as alive, for a place in the queue. A lease that
	// is given to the attempt lasts as long, so that one that nobody confirms costs others no more. 0: the
	// backend's own choice.
	Alive time.Duration
}

// MaxAsk is the highest number of a call that is queued. A double can carry it.
const MaxAsk = 1<<53 - 1

// A Reply is what a backend says of an attempt or a renewal.
type Reply struct {
	Outcome Outcome

	// Base is the fence's base (µs, below 2^53) when Granted: greater than every
	// base this key had before, also across processes and restarts.
	Base uint64
	// TTL is the lease as set, when Granted: never shorter than asked for, unless it
	// is what a revoked lease has left, whose acquire was repeated.
	TTL time.Duration
	// Contended says that another process waits for the key, as far as the
	// backend knows; the lease should go to it soon.
	Contended bool

	Kind    Kind // when Granted, and of a renewal: what the lease is; when Held: what is out
	Permits int  // of a share of slots: how many holds it is good for

	// What is known of the holder when Held; zero where it is not.
	Out     int           // of shares: how many there are, or how many permits; 0 for a lock
	Holder  string        // its label
	HeldFor time.Duration // how long it has had the key
	FreeIn  time.Duration // when its lease ends unless renewed; where slots are waited for, the first of the shares
	Place   int           // sessions ahead in the backend's queue, this one included; 0 when not queued
	// Retry is when to repeat the attempt, when Held, unless a wake comes first.
	Retry time.Duration
}

// A Backend keeps leases. Its methods are called from many goroutines, but for
// one key of one session by one at a time. The methods of its errors (Error, Is, As,
// Unwrap) are called while the key's actor handles the answer: they neither block nor
// use the client.
//
// Every verb may be repeated with the same arguments any number of times, also
// when an earlier call of the same attempt is still on its way: it finds its
// own lease, and never makes a second one.
type Backend interface {
	// Acquire makes one attempt.
	//
	//	Granted    the lease is ours for at least Reply.TTL, counted from before the call
	//	Held       another owner has it; ask again after Reply.Retry
	//	NotRun     nothing was changed; the error says why
	//	MayHaveRun the error says why; the caller repeats the same attempt or cancels it
	//
	// The error is nil exactly for Granted and Held. It matches ErrUnavailable,
	// and ErrRefused if waiting can't mend it; it keeps ctx.Err() visible.
	// An attempt that was released or cancelled is never granted afterwards, if its end said
	// that it was Ambiguous. Otherwise no copy of a request is left that could be.
	Acquire(ctx context.Context, r Request) (Reply, error)

	// Renew makes the lease last ttl from now and mints a new base. known is
	// the newest base the caller has, 0 if it has none; a backend shortens a lease only for a
	// caller that knows its last base, since any other call may be a late copy.
	//
	//	nil             renewed: Base, TTL, Contended are set
	//	ErrNotHeld      the lease is gone, another's, or began after known
	//	ErrRevoked      it is still the caller's, and was not renewed: see Revoker
	//	any other error it may or may not have run
	Renew(ctx context.Context, a Attempt, ttl time.Duration, known uint64) (Reply, error)

	// Release gives the lease back, to the next waiting session where the
	// backend keeps a queue, and settles the attempt.
	//
	//	nil             it was ours and is no longer
	//	ErrNotHeld      it was not ours (any more); another's lease is untouched
	//	any other error it may or may not have run
	Release(ctx context.Context, a Attempt) error

	// Close ends the backend's connections and goroutines. Calls after it, and
	// under way, fail with ErrClosed or ErrUnavailable. Closing again is nil.
	Close() error
}

// A Canceler is a backend in which an attempt can be queued or half done.
type Canceler interface {
	// Cancel ends an attempt whose outcome was Held or MayHaveRun: it leaves
	// the queue, gives the lease back if it had just been granted, and settles
	// the attempt. nil means that nothing of it is left, whatever there was.
	Cancel(ctx context.Context, a Attempt) error
}

// Cancel ends an attempt that nobody awaits; nil means nothing of it is left.
// Without a Canceler it is a release in which "not held" is good news.
func Cancel(ctx context.Context, b Backend, a Attempt) error {
	if c, ok := b.(Canceler); ok {
		return c.Cancel(ctx, a)
	}
	if err := b.Release(ctx, a); err != nil && !IsNotHeld(err) {
		return err
	}
	return nil
}

// A Waker is a backend that can say that something happened to a key.
type Waker interface {
	// Subscribe starts the inbox of a session; the coordinator calls it once,
	// before its first attempt. wake must not block; it is called from the
	// backend's goroutines until Close returns. Wakes may be lost, repeated or
	// late: they are hints, and Reply.Retry bounds what a lost one costs.
	Subscribe(session Session, wake func(Wake)) error
}

// A Repeater is a Waker that can repeat the calls of attempts that wait in its queues by itself, those of many keys in
// one request: they keep their places by that. What its answer to a queued Acquire says of Retry is then no more than
// when to ask for news, and the key is woken when a repetition finds that its attempt does not wait any more, or that
// something else is better asked for in full.
type Repeater interface {
	Waker
	// Repeats has number called before each repetition, which then is as an Acquire with that Ask and that Alive. 0: the
	// attempt is not to be repeated any more. From then on no earlier number of the attempt counts: see Gave. The
	// coordinator calls Repeats once, before Subscribe. number does not block; it is called until Close returns, with
	// no lock of the backend's held. Without it nothing is repeated.
	Repeats(number func(key string, attempt uint64, alive time.Duration) (ask uint64))
}

// A Reclaimer is a backend whose leases live and end with this process, and that can
// have a lease back at once that lingers with its session: one that nobody there
// holds. Over such a backend leases linger by default.
type Reclaimer interface {
	Waker
	// Reclaims has give called when another session wants a key that this one has. If
	// give returns true, the lease of that attempt is in nobody's use and never will be,
	// and the backend ends it, as a release does, before it answers who wants the key. The
	// coordinator calls it once, after Subscribe and before its first attempt. give does
	// not block; it is called until Close returns, with no lock of the backend's held.
	Reclaims(give func(Attempt) bool)
}

// A Wake is a push from a backend.
//
// An empty key means that pushes may have been lost for all keys, since their
// connection was: with Given, whatever is awaited has to be asked for again;
// with Wanted, others may wait for whatever is held; with Doubted, whatever is
// held may be gone; Answering is always for all. A coordinator wakes every key then.
type Wake struct {
	Key  string // the full key
	Kind WakeKind

	// Of Gave alone.
	Attempt   uint64        // the number of the attempt that the lease was given to
	Ask       uint64        // Request.Ask of the newest call of it, or repetition, that the backend had seen
	Base      uint64        // as Reply.Base of a grant
	TTL       time.Duration // the lease as it was set when it was given
	Contended bool          // others wait behind it: as Reply.Contended
}

// WakeKind says what a wake is about.
type WakeKind uint8

const (
	// Given: the key may be free, or its lease was given to this session's
	// queued attempt, which has to be repeated to confirm it.
	Given WakeKind = iota
	// Wanted: another session waits for a key this session holds.
	Wanted
	// Doubted: the place where leases live may be another one now, or the same
	// with an older state. No hold is granted under a lease from before until a
	// renewal, sent after this wake, has proved it.
	Doubted
	// Revoking: a lease that this session holds may have been revoked: a renewal
	// will tell.
	Revoking
	// Answering: the backend answers again after an outage. What failed is tried
	// again now, and not when the pause after its last failure is over.
	Answering
	// Gave: the key's lease was given to this session's queued attempt, and the wake says all of
	// it. A backend that can't say all that sends Given. The wake may be a grant without a call: since the
	// backend had the call numbered Ask when it gave the lease, the lease was given after that call was
	// sent, and so lasts at least TTL from then. It is confirmed by a Renew with Base as known, which fails if
	// the lease under the key is any other. Until then the lease ends by its TTL, and Release frees it as any other.
	//
	//	a hint that the key may be free, a lease that is only kept for a session that hears no wakes   Given
	Gave
)

// Capabilities is what a backend declares of itself; the README's table of
// backends is made from it.
type Capabilities struct {
	Name      string
	Exclusive bool // at most one lease a key
	Fair      bool // waiting sessions are served in the order of their arrival
	Wakes     bool // pushes instead of polling
	Fences    bool // bases grow across processes and restarts
	Inspects  bool // Inspector is implemented
	Reasons   bool // a Revocation's Reason reaches the holder
	Kinds     bool // it is a Sharer: shared holds and slots
	Rests     bool // a released key can be kept from everybody for a while: see Attempt.AtLeast
	// FailsOver: when the server that granted a lease is lost, another takes its
	// place, whose state may be older. A lease that the last renewal could not
	// prove is then not handed on: the next holder may have it there by now.
	FailsOver bool
	// Immediate: calls compute and return within microseconds, without I/O, so
	// that the key actor may run them in place.
	Immediate bool
	// LateHold is how long a request that arrives after its attempt was cancelled may
	// keep the key from others. It grants nothing to anybody. 0: it does nothing.
	LateHold time.Duration
	// MinExpires is the shortest lease the backend can keep (0: no limit of its own).
	MinExpires time.Duration
}

// A Describer is a backend that declares its capabilities. One of the caller's own
// should implement it: its Name is in errors and logs, and MinExpires turns shorter
// holds down before they are asked for. A backend without it is taken to have none
// of Fences, Fair, FailsOver, Immediate and LateHold. The declaration must not
// change.
type Describer interface {
	Capabilities() Capabilities
}

// Describe returns what b declares. If it declares nothing, that is the least that
// the contract demands: it excludes. Inspects and Wakes are then read off from the
// optional interfaces that it has, and its Name is "custom".
func Describe(b Backend) Capabilities {
	if d, ok := b.(Describer); ok {
		return d.Capabilities()
	}
	_, inspects := b.(Inspector)
	_, wakes := b.(Waker)
	return Capabilities{Name: "custom", Exclusive: true, Inspects: inspects, Wakes: wakes}
}
