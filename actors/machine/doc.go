// Package machine decides what becomes of one key in one process: who holds it, who
// waits, what the backend is asked, and when to look again.
//
// It is pure. A [Machine] has no goroutine, channel, clock, randomness or I/O. It takes
// one [Event] at an [Instant], and returns the [Effect]s of that step in the order in
// which they are to be carried out. Package actors is the shell around it: an actor
// turns messages into events, and carries the effects out.
//
// # Phases
//
// A key is in one phase at a time, between this process and its backend:
//
//	free      the backend knows nothing of us
//	asking    we have an attempt there, which was answered "held", or never answered;
//	          or the last one left nothing behind, and the next begins after a pause
//	leased    the lease is ours: a hold is under way, or about to be, or the lease lingers
//	settling  an attempt ends at the backend: released if it was granted, else cancelled
//	sharing   we have shares, of a key that others may have shares of as well; beside them at most one
//	          attempt asks, for the next share or the lock, and others may be ending
//
// Each phase is a type in the file of its name, with what only that phase needs: its
// retries too. Nothing of a phase is left when it ends, but for what it hands to the
// next: its pause, or a doubt. It ends only while no call is in flight, but for a panic,
// which forgets the call. Closing is no phase: it can come in each of them. Nor is a gap for
// pollers (gap.go), which is counted over many leases.
//
// One step takes the key from phase to phase like this. An event seldom does so by
// itself: most moves are made in the plan that ends the step (the phases' plan methods,
// leased.goesBack, asking.giveUp).
//
//	free      -- Arrive -->                         asking    the first to want the key
//	free      -- Tick -->                           asking    a pause, a gap or a rest is over
//	free      -- Woken, the rest was ended -->      asking    by force
//	free      -- Answered, the gap was used -->     asking    a look saw a poller, or nobody who makes gaps
//
//	asking    -- Answered, granted -->              leased
//	asking    -- Gave, to the newest call -->       leased    the push is the grant
//	asking    -- Answered, granted a share -->      sharing   it asked for one
//	asking    -- Answered, granted too late -->     settling  no time of the lease is left
//	asking    -- Answered, nobody waits -->         settling  they left or were refused, or we close
//	asking    -- Answered, nothing is left -->      free      one try was answered, and nobody else waits
//	asking    -- Leave, by the last -->             settling
//	asking    -- Leave, the next wants another kind -->    settling  an attempt asks for one kind
//	asking    -- Tick, the next wants another kind -->     settling
//	asking    -- Answered, the next wants another kind --> settling
//	asking    -- Leave, nothing is left -->         free      the last attempt had been settled
//	asking    -- Tick, the last times out -->       settling
//	asking    -- Tick, nothing is left -->          free      the same, and the last attempt had been settled
//	asking    -- Tick, a gap is due -->             settling  the key is watched from outside its queue
//	asking    -- Close -->                          settling
//	asking    -- Close, nothing is left -->         free
//	asking    -- Panicked -->                       settling
//	asking    -- Panicked, nothing is left -->      free
//	asking    -- Panicked, Close's time is over --> free
//
//	leased    -- Arrive, another has it -->         settling  it lingered, and was given away
//	leased    -- Release, nobody waits -->          settling  unless the lease lingers
//	leased    -- Release, another's turn -->        settling  the budget is used up, a gap is due, no handoff, to rest, or revoked
//	leased    -- Withdrawn, nobody waits -->        settling
//	leased    -- Leave, by the last -->             settling  nobody holds the key
//	leased    -- Disown -->                         settling
//	leased    -- Answered, nobody waits -->         settling  nobody holds the key any more, or we close
//	leased    -- Answered, not held -->             settling  the holds are lost; a late copy must grant nothing
//	leased    -- Answered, revoked -->              settling  nobody holds the key
//	leased    -- Woken, while it lingers -->        settling  another process waits, or it may be revoked
//	leased    -- Tick, it has lingered -->          settling
//	leased    -- Tick, the hold is over -->         settling  and nobody waits
//	leased    -- Tick, the lease is over -->        settling
//	leased    -- Downgrade -->                      sharing   the hold is shared from here on
//	leased    -- Tick, it carries holds of another kind -->     sharing   since a Tenure: others may want to come in
//	leased    -- Arrive, it carries as many slots as a share can -->    sharing   and others here want more
//	leased    -- Woken, it carries holds of another kind -->    sharing   others wait
//	leased    -- Taken, it carries holds of another kind -->    sharing   others had waited before
//	leased    -- Answered, it carries holds of another kind --> sharing   a Downgrade had to wait for the answer
//	leased    -- Close -->                          settling
//	leased    -- Panicked -->                       settling
//	leased    -- Panicked, Close's time is over --> free
//
//	settling  -- Answered -->                       free      or refused for good, or its lease is over anyway
//	settling  -- Answered, somebody waits -->       asking
//	settling  -- Tick, Close's time is over -->     free
//	settling  -- Close, its time is over -->        free
//	settling  -- Panicked, Close's time is over --> free
//
//	sharing   -- Answered, nothing is left -->      free
//	sharing   -- Answered, somebody waits -->       asking    all shares have ended
//	sharing   -- Answered, the ask goes on -->      asking    the same
//	sharing   -- Answered, the lock is granted -->  leased    our shares were lost, and have ended
//	sharing   -- Answered, nobody waits -->         settling  for that lock
//	sharing   -- Tick, Close's time is over -->     free
//	sharing   -- Panicked, Close's time is over --> free
//
// # One step
//
// [Machine.Step] does three things, always the same:
//
//  1. take: change the state as the event says.
//  2. expire and offer: end what is over, then offer the key to the first that waits,
//     if the lease allows it. An offer ends the step. One compare-and-swap decides
//     between the offer and the caller's giving up, and the next event says which of
//     the two it was: Taken or Withdrawn.
//  3. plan: begin the one call that the phase needs now, if any, and collect the
//     instants at which one may be needed. Each condition is written once, as an
//     instant: plan.from(t) reports whether t has come, and if not, adds t to the
//     looks. So what decides on a call also decides when to look for it. plan.seen is
//     for what is worth a call when a step sees it, and no look of its own.
//
// An event that comes when a Tick is due does what the Tick would, too.
//
// # Where to find what
//
//	events.go, effects.go, hold.go, instant.go   the words of this package: begin here
//	machine.go   the machine, its step
//	push.go      pushes
//	phase.go     what a phase is, the plan, pauses after failures
//	free.go, asking.go, leased.go, settling.go, sharing.go   the phases
//	renewal.go   how a lease is renewed
//	share.go, ending.go   what the phase sharing has: shares, and attempts that end
//	rides.go     locks that carry shared and slot holds, and become shares
//	nested.go    acquires whose callers have the key
//	gave.go      a push that is a grant
//	lease.go     a lease's numbers: margins, deadlines, fences, the budget of handoffs
//	linger.go    a lease that nobody here needs, and its keeper
//	queue.go     the lists of holds; timeouts and places of those who wait
//	waiting.go   arrivals, and the ends of waits and holds
//	requests.go  releases, extensions, the end of our own lease by Revoke
//	gap.go       gaps for pollers
//	rest.go      what Spec.AtLeast asks for: a key that is nobody's after a hold
//	close.go     Close, and what is left after a panic
//	why.go       what is told to those who ask
//
// # Kinds
//
// A share is what one attempt has. It carries shared holds, or has permits for slot holds, each good for one. It never
// grows: who wants more than the shares carry that are here waits for another attempt, the newest, which asks beside
// them. So the first in line here has its place in the backend's queue while its process still holds the key.
//
//	a lock    carries holds of one kind at a time, whichever it was asked for: who reads and writes by turns makes no
//	          calls. Once others wait, or after a Tenure, the lock becomes a share: by a renewal that says so, as
//	          each later call of that attempt does. From when that is sent it carries no exclusive hold.
//	a permit  passes only to a hold that says at least the largest n that its attempt said. One that is given back is
//	          nobody's from when that is sent.
//	a grant   that can't be beside the shares that are here tells that they are lost.
//
// The queue is one for all kinds, and nobody joins past the first in line, a nested shared hold apart. While others
// wait, a share is joined for a Tenure, or 1023 times; then its holds end, it goes back, and the first in line asks by a
// new attempt.
//
// # When a lease has to be proved
//
// A lease may be gone before its time. A renewal proves it. Until then nothing is
// granted under it, though a hold goes on:
//
//	doubted   the backend said so, by a push: the proof must be sent after that
//	unproved  the last renewal failed, and another server may have taken over meanwhile
//	stale     no push would tell, and the last proof is older than ProofLasts
//
// leased.doubts is the first two, leased.stale the third.
//
// # A push is a grant
//
// Where a backend hands a released key to the first that waits, it says so by a push, and the
// first in line here gets the key at once: no call is between a release there and the grant here. The lease is short,
// and so is the hold, until a renewal has confirmed the lease:
//
//	Gave             the hold begins, up to the lease's deadline (lease.give argues why that is right)
//	within 1 ms      a release ends it: no call was needed but that one
//	after 1 ms       the confirmation is sent, beside the hold; sooner if somebody waits for what it brings
//	renewed          the hold gets its Expires, counted from when that was sent
//	not held         the hold is lost at once, and so with revoked (as any hold is)
//	any other error  it is tried again, until the hold is lost at its short deadline
//
// Callers that show a deadline to others (Spec.Confirmed) wait for the confirmation. So do local callers behind the first
// hold that would be cut short as well, extensions and checks.
//
// # What is kept
//
// The names are those of the invariants in docs/design.md.
//
//   - K1: holds that overlap are all shared, or all slot holds: share.suits, mayRide.
//   - S1: there is one lease and, where the backend excludes, one holder; a hold ends at
//     its deadline, which is never later than the lease's, which is earlier than the
//     backend's (lease.go).
//   - S1 again, where servers take each other's place: a lease that may be gone is
//     proved by a renewal before the next hold is granted under it (leased.go, doubts).
//   - S2: fence = base << 10 | n. The backend mints base, greater than all before it;
//     n counts handoffs from 0 to 1023; a renewal brings a new base.
//   - S4: every release and renewal carries the attempt of its own lease.
//   - S5: an attempt that nobody awaits any more is cancelled before anything else is
//     asked for that key.
//   - S6: each Arrive is answered once: by a Taken offer, a Refuse or a TimeOut.
//   - S7: grants checks the lease's deadline before each offer; gave does before it makes a lease.
//   - L3: the queue is in the order of the Arrives.
//   - L4: while another process waits, a lease goes back after 1023 handoffs or
//     Tenure, whichever is first.
//   - L5: a hold that no renewal could prove is lost shortly before its deadline.
package machine
