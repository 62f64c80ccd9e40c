// Package guard is a process of ours that outlives a SIGKILL of turnstile, and ends
// what turnstile can't end any more.
//
//	guard.go  turnstile's side: what it tells its guard
//	stand.go  the guard's side: what it does
//	group_*   what there is to know of a process group
//
// The guard is the binary itself, run again. It is a guard before it is anything
// else: its init runs it, and never returns. The runtime starts packages in the
// order of their dependencies, so that by then little of the drivers and the actors
// has been started, where main would come after all of that. Most commands are short, and a guard is started for each: that halves
// what one costs (measured: 28 ms of CPU against 16).
package guard

// Arg as the only argument makes the binary a guard. It is no command: the flags
// know nothing of it.
const Arg = "__guard"
