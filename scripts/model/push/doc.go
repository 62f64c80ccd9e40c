// Package push is a model of the push that grants, and random and fixed interleavings that try to break it. It has
// tests only: nothing imports it. It stands beside the scripts, since half of its rules are theirs; the other half
// are those of a session that waits.
//
// A key that is released goes straight to the first session that waits. The server tells that session by a push,
// and the session takes the push for the grant. It asks nobody, so it may count only on what follows from its
// own knowledge:
//
//	each ask (an acquire that is queued or repeated, or a heartbeat) carries a number that nobody can guess
//	the queue keeps the number of the newest ask that it has seen, and a push echoes it
//	so the giving came after that ask was sent, which the session's own clock has timed
//	so the lease lasts at least until sent + length, less the margin for two clocks that run at different rates
//
// The model has one key on one server, sessions with clocks of their own, pushes that are late, lost, repeated,
// reordered and forged, and requests that are answered, or run and are not answered, or arrive late. Sessions stop
// hearing and begin again. The server's clock steps, the key is deleted by hand or revoked, and the number of keys that a
// session waits for changes, and with it the length of the leases that it is given. Where servers replace each other, a replica
// with an older state and another clock takes over, at the earliest 500 ms after the last script ran.
//
// It checks:
//
//  1. S1: no two holds overlap, as their holders see it. Excused are holds whose lease ended early: by a deletion, by
//     revoke with now, by a leap of the clock forward, by a replacement of the server.
//  2. S2: bases grow strictly, as minted and as granted, and no fence is granted twice. A hold that has been
//     confirmed was the newest then. Excused: the replica's clock is behind; the order of grants to those excused in 1.
//  3. S5: an attempt that has ended gets no hold.
//  4. S6: an attempt is granted once.
//  5. S7: a hold's deadline is never beyond the end of the lease that is under the key, unless that lease ended early
//     after it was given. No push of a server that was replaced grants. Nor does one of a lease that the session knows
//     to be over, since a later ask was answered "held by another".
//  6. L5: a hold ends when its session is told that the lease is not there, and else at its deadline. A lease with a
//     hold can be revoked.
//  7. A caller who shows a deadline to others has no hold before it is confirmed.
//  8. Once the faults end, every session that waits gets the key.
//
// Each rule can be left out by a switch (see rule). The fixed interleavings show that each is needed: without it a
// check fails.
package push
