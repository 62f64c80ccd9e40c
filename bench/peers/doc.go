// Command peers measures Turnstile beside other libraries' locks: redsync,
// bsm/redislock and rueidislock on Redis, etcd's concurrency.Mutex on etcd, and
// moby/locker, x/sync's semaphore and sync.RWMutex in process.
//
//	go run . -report report.html
//	go run . -workloads hot,free -experiments "" -json
//
// It is a module of its own, so that the rivals' dependencies stay out of
// Turnstile's. It runs on Linux and macOS.
//
//	rivals.go      what rivals have in common; process.go, redis.go, etcd.go
//	yardsticks.go  what is no lock and shows how far one can get; ceiling.go, wake.go
//	rows.go        the workloads and what is to be reached in them
//	verdicts.go    whether it was; markdown.go: the tables for a README
//	numbers.go     -numbers: all of it in 6 minutes; memory.go what needs no clock
//	base.go        -numbers -base REV: what changed since a revision
//
// Package bench makes the runs: its driver, its checks and its report are the same
// for all. What makes the figures comparable beside that:
//
//  1. Each rival is set up as its own documentation recommends; the settings are
//     printed.
//  2. Every run has a fresh server and a warm-up. Rounds are interleaved and
//     start with another strategy each; figures are medians over rounds, and a
//     ratio is the median of the rounds' own ratios, because a shared machine
//     drifts from minute to minute and less within a round.
//  3. An overlap is printed first and the command exits 1, whosever it is. A peer
//     that leaves waiters behind is shown to do so, and its figures stand.
//
// The workloads (their goals are in docs/benchmarks.md#goals):
//
//	hot        64 goroutines on one key, one process
//	shared     64 goroutines share one key; sharing: in two processes
//	readers    64 goroutines on one key, nine of ten holds shared
//	slots      64 goroutines on 8 slots of one key
//	processes  4 processes of 16 goroutines on one key
//	keys64     10 000 keys, 64 goroutines; ours with Linger, too
//	keys512    10 000 keys, 512 goroutines, beside the server's own ceiling
//	turns      two processes in turn: from release to grant
//	free       one goroutine, a free key, again and again
//	quiet      one goroutine on quiet keys, beside 64 that fight over one, in its client or by a channel
//	inkeys     10 000 keys, 64 goroutines, in process
//	new        one goroutine, a new key each time, in process
//
// The experiments are those of `turnstile bench`, from which a report draws its
// curves.
package main
