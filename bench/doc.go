// Package bench measures lock strategies side by side and says what it saw.
//
//	workload.go  what every strategy does: goroutines, processes, keys, times
//	strategy.go  what is measured: take a key with a context, give it back
//	result.go    what was seen, as it stands in a report's JSON
//
//	plan.go      experiments × strategies in rounds; experiments.go the usual ones
//	measure.go   one run of one strategy; servers.go and delay.go its place
//	performer.go a process's part, here or, worker.go, in another; phases.go
//	kinds.go     holds that are shared, or so many at a time
//	load.go      its contenders; contender.go one of them; openloop.go when they start
//	record.go    what the locks protect; keys.go, meters.go, clock.go, pause.go
//	recovery.go  what happens when a holder is killed
//	report.go    JSON; table.go, gobench.go and summary.go for people and benchstat
//
// A comparison is fair when nobody's loop is special: one driver runs every
// strategy, rounds are interleaved, and each hold is checked by a record that
// nothing but the lock under test guards. An overlap fails the run, whosever it is.
//
// # What a figure is
//
//  1. A hold counts when it was had between the beginning and the end of the
//     measured part, each process by its own clock. The rate is the sum of the
//     processes' rates.
//  2. A wait lasts from the call to the grant, in an open loop from the planned
//     start. Waits under way at the end are seen through; a queue that would take
//     more than 5 s is broken off, and its waits count as long as they were.
//  3. A grant's time lasts from the call of a release to the grant of another
//     contender that was waiting by then, in whichever process.
//  4. Waits and grants are measured of 20 000 holds a second at most, chosen at
//     random; all other figures are of all holds. Looking costs a hold 20 to 35 ns
//     beside that, which a sync.Mutex feels and nothing slower does.
//  5. A pause of less than 100 µs is spent computing, a longer one asleep.
//
// What the harness would not see is tried: see the tests, whose locks are wrong in
// one way each.
package bench
