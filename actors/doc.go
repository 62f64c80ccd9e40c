// Package actors owns keys: for every key that is in use in this process
// there is one actor, which queues the callers and talks to the backend once
// for all of them.
//
// A [Coordinator] is the directory of these actors over one backend. An acquire
// is a message; the actor grants it at once, or queues it, and the answer comes
// on a one-slot channel. While callers wait, a hold is handed from one to the
// next under the same lease, with no backend call: that is a handoff.
//
// # What is kept
//
// The names are those of the invariants in docs/design.md.
//
//   - S1: a key actor has one lease and, where the backend excludes, one holder;
//     a hold ends at its deadline, which is never later than the lease's, which
//     is earlier than the backend's (lease.go).
//   - S1 again, where servers take each other's place: a lease that may be gone is
//     proved by a renewal before the next hold is granted under it (keyactor.go, doubts).
//   - S2: fence = base << 10 | n. The backend mints base, greater than all before
//     it; n counts handoffs from 0 to 1023; a renewal brings a new base.
//   - S4: every release and renewal carries the token of its own lease.
//   - S5, S6: one compare-and-swap decides between a grant and the caller's
//     giving up (hold.go). A backend attempt that nobody awaits any more is
//     cancelled before anything else is asked for that key.
//   - S7: grant checks the deadline, on two clocks, before every grant.
//   - L3: the queue is in the order in which the acquires reached the mailbox.
//   - L4: while another process waits, a lease goes back after 1023 handoffs or
//     Tenure, whichever is first.
//   - L5: a hold that no renewal could prove is lost shortly before its deadline.
//
// # Why no message is lost
//
// An actor retires when its key is idle. Stopping an actor drops what is still
// in its mailbox, so it retires only if it has handled every message that was
// ever counted as posted (directory.go).
package actors
