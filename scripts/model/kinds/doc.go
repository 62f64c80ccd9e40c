// Package kinds is a model of shared and slot holds beside exclusive ones, and random and fixed interleavings that try
// to break it. It has tests only: nothing imports it. The scripts of it are in scripts/shares.
//
// # The rules in short
//
// A key has one lock, as before: an attempt's token, another library's value, or the marker. The marker stands there
// while shares are out. It is the token of a session that there is not, one for each kind, so that to the scripts of
// exclusive locks, and to pylock, it is a lock like any other.
//
//	a share      is one attempt's, granted by its own ask alone. It carries the shared holds of its session, or is a
//	             number of permits, which only goes down.
//	a lock       is given to the first in the queue, whichever its kind. The next ask of one that wants a share makes a
//	             share of it.
//	the queue    is one for all kinds. An ask joins the shares that are out if all that came before it, and are alive,
//	             can join them as well.
//	a downgrade  is a renewal that says so.
//
// A session has at most one attempt that asks, its newest, and any number of shares beside it. It asks for the next
// while it has some, so that its first caller that waits has a place in the queue. Its callers join and follow one
// another without a call until it learns that others wait, and for a Tenure more.
//
// # Checks
//
//  1. K1: an exclusive hold overlaps nothing, a shared one only shared ones, a slot hold only slot holds, as their
//     holders see it, with pylocks and another library on the same key. Of the slot holds that say n or less, there
//     are never more than n.
//  2. S2: bases grow, and a share does not go on past an exclusive hold.
//  3. S4: a share or lock is ended by its own attempt alone.
//  4. S5: an attempt that has ended has neither lock nor share, nor does it wait.
//  5. Order: nobody is granted the part of one that came before and is alive.
//  6. The marker ends with the longest share, and the companion 60 s later.
//  7. A script looks at some hundred things at most, and tells some hundred sessions.
//  8. Once the faults end, all that wait get the key, and nothing is left.
//  9. In a schedule whose callers never pause, each waits for a bounded time, also if messages are lost.
//
// Excused are leases that end early: by an eviction or deletion of the lock, by revoke with now, by a leap of the
// clock, and by a pylock's DEL or EXPIRE on another's lock; the limits of repairs, which the package above lists; and
// bases that come again after the companion was lost and the clock stepped back.
//
// Each rule can be left out by a switch (see rule). The fixed interleavings show that each is needed: without it a
// check fails.
//
// Left out are sessions that only poll, pushes that grant, and servers that replace each other, which other models have,
// and the batches of the fast path.
package kinds
