// Package actors owns keys: for every key that is in use in this process
// there is one actor, which queues the callers and talks to the backend once
// for all of them.
//
// A [Coordinator] is the directory of these actors over one backend. An acquire
// is a message; the actor grants it at once, or queues it, and the answer comes
// on a one-slot channel. While callers wait, a hold is handed from one to the
// next under the same lease, with no backend call: that is a handoff.
//
// What becomes of a key is decided in package machine, which is pure; read its
// documentation first. A keyActor is the shell around one machine: it turns a
// message into an event, lets the machine take a step, and carries out what the step
// wants done (effects.go). The invariants that the machine keeps are listed there.
// Two more are kept here:
//
//   - S5, S6: one compare-and-swap decides between a grant and the caller's
//     giving up (hold.go).
//   - S7: instants count the time of suspends too, on every system (clock.go).
//
// # Why no message is lost
//
// An actor retires when its key is idle. Stopping an actor drops what is still
// in its mailbox, so it retires only if it has handled every message that was
// ever counted as posted (directory.go). Few of those that have retired are kept to own
// another key; a message to the earlier key reaches none of them, since it is counted at the
// key's entry, which is never used again.
package actors
