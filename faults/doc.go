// Package faults tries Turnstile on real Redis and memcached servers, as a whole
// and from outside: through the public API of lockclient, with several processes at
// once, and with every kind of trouble that a server, a network or a stopped
// or killed process can make.
//
// The servers stand alone, form a Cluster, or are watched by Sentinels. What
// callers see is the same, but where one server takes the place of another.
//
// It holds tests only. What they check of every run is the same:
//
//  1. claimed holds never overlap, measured on one clock for all processes; but
//     where a replica takes over that has missed a lease
//  2. fences grow strictly in the order of the grants
//  3. nothing is left behind: no key but companions that expire by themselves,
//     no queue, no subscription, no goroutine
//
// memcached may forget a lease; there, holds may overlap from then on, and it is
// fences that have to be right.
//
// The tests of the backends look at single calls; here it is what
// callers see that counts. By default the runs are short; with
//
//	go test ./faults -long
//
// they last as long as is promised of a release: 10 s of contention, 30 s of
// killed processes, 20 fail-overs to a replica that lags, 10 000 attempts whose acquires arrive
// when they are over, and 10 000 races with pylocks.
package faults
