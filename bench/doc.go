// Package bench measures lock strategies side by side and says what it saw.
//
//	workload.go  what every strategy does: goroutines, processes, keys, times
//	strategy.go  what is measured: take a key with a context, give it back
//	result.go    what was seen, as it stands in a report's JSON
//
// A comparison is fair when nobody's loop is special: one driver runs every
// strategy, rounds are interleaved, and each hold is checked by a record that
// nothing but the lock under test guards. An overlap fails the run, whosever it is.
package bench
