// Package strategies are the lock strategies that bench measures: what Go has in
// process, Turnstile over each of its backends, the loops of the libraries that it
// grew from, and scripts of a user's own.
//
//	strategies.go       All, Default, Named, Select
//	process.go          mutex, channel
//	ours.go             turnstile-BACKEND, also -nohandoff and -linger
//	seeds.go            what the seeds' loops share; pylock.go, retools.go, distributedlock.go
//	script.go           Script: a directory of three .lua files, read and compiled
//	script_lock.go      the loop that drives them
//	script_reply.go     their replies, and errors that name file and line
//	script_embedded.go  their run in this process; script_redis.go: on a server
//
// What every strategy here keeps true:
//
//  1. Lock returns a hold or an error. When its ctx ends first, the error matches
//     ctx.Err(), comes at once (mutex apart, whose waits can't be broken off), and
//     leaves no hold behind.
//  2. Only the first Unlock of a hold does anything; a hold that ended by itself
//     takes no other's key with it (pylock and DistributedLock: as far as they can).
//  3. After Close no goroutine and no connection is left.
//
// # Scripts of one's own
//
// A directory with acquire.lua, renew.lua and release.lua is two strategies,
// script-NAME-embedded and script-NAME-redis, NAME being the directory's. Both
// give the scripts the same:
//
//	KEYS[1]  the lock, "pylock:" and the key
//	KEYS[2]  "…:state", for what else the scripts keep of the key: a hash, say
//	KEYS[3]  "…:queue", for those who wait: a sorted set, say
//	ARGV[1]  token: one for each Lock, the same in all scripts of it
//	ARGV[2]  ttl in ms, from 1
//	ARGV[3]  session: one for each process that takes part
//
// The three keys are in one hash slot, and no other key may be touched. All
// scripts get all of them, and reply:
//
//	acquire  {1}         granted
//	         {1, fence}  granted, with a number from 1 that grows from grant to
//	                     grant of the key; as a string of digits if it may pass 2^53
//	         {0}         held: ask again after 5 ms, give or take a half
//	         {0, ms}     held: ask again after exactly so many ms, 1 to 60000
//	renew    1           the lock is the token's, for ttl from now
//	         0           it is not (any more); it was not touched
//	release  1           the lock was the token's, and is no longer
//	         0           it was not; it was not touched
//
// When each is run:
//
//   - acquire until it says 1, fails, or the ctx of Lock ends.
//   - renew at every third of the ttl while the hold lasts. After a 0 no more; Unlock
//     then says that the hold was lost.
//   - release by Unlock, once; and after a Lock that ended otherwise than by a grant,
//     if acquire has run: so acquire may leave a place in a queue behind, which release
//     takes back. Its reply doesn't count there.
//
// All three are run before the first Lock, on a key of their own: a lone caller has
// to be granted the key within two seconds, to renew it and to release it. What is
// wrong with a script shows there, with its file and its line; that it excludes is
// for the run to show.
//
// The embedded engine has the commands that package keyspace lists, and of Lua the
// usual of base, string, table and math. It has no cjson, bit, redis.log, math.random,
// string.gsub, metatables or coroutines, and ends a script after ten million
// instructions. Where scripts need more, script-NAME-redis runs alone. Time is
// redis.call('TIME') on both. Examples: testdata/setnx, and testdata/queue with a
// queue and a fence.
package strategies
