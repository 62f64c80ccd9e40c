// Command peers measures Turnstile beside redsync, bsm/redislock and
// rueidislock, on the same workloads and a real Redis server of its own.
//
//	go run . -rounds 3 -duration 3s
//	go run . -workloads hot,free -json
//
// It is a module of its own, so that the rivals' dependencies stay out of
// Turnstile's. It runs on Linux and macOS.
//
// What makes the figures comparable:
//
//  1. Rivals stand behind one interface (locker), and one loop drives them all.
//     Each is set up as its own documentation recommends; the settings are
//     printed.
//  2. Every run has a fresh server and a warm-up. Rounds are interleaved and
//     start with another strategy each; figures are medians over rounds, and a
//     ratio is the median of the rounds' own ratios, because a shared machine
//     drifts from minute to minute and less within a round.
//  3. Every hold is checked: an owner word a key that nothing but the lock
//     guards, in memory that all processes share, and fences that must grow.
//     An overlap is printed and the command exits 1, whosever it is.
//
// The workloads are the Redis rows of the design's table of numbers:
//
//	hot        64 goroutines on one key, one process
//	processes  4 processes of 16 goroutines on one key
//	keys64     10 000 keys, 64 goroutines; ours with Linger, too
//	keys512    10 000 keys, 512 goroutines, beside the server's own ceiling
//	turns      two processes in turn: from release to grant
//	free       one goroutine, a free key: an acquire beside a bare EVALSHA
package main
