// Package keyspace is a small typed keyspace in memory that answers like Redis.
//
// It knows strings, hashes and sorted sets, and of Redis's commands those that
// a lock script needs. Replies, errors and number formats are those of Redis
// 6.2 and 7.0, so that one script says the same on a server and here; the
// tests hold every command against a real server. Options that no lock uses
// (SET's EXAT, ZRANGE's BYSCORE) are syntax errors.
//
// A keyspace is owned by one caller at a time: it has no lock of its own.
//
// What it keeps true:
//
//  1. A key past its expiry is never seen, whether or not it was freed yet.
//  2. A key lives for at least the time it was given: expiry is kept in whole
//     milliseconds and a key is gone once they have passed, as in Redis.
//  3. An idle key costs its memory and nothing else: no timer, no goroutine.
//     Who owns the keyspace calls Sweep at the time that NextSweep names.
//  4. Memory follows the keys down: a map or heap that was large and is nearly
//     empty is built anew, because Go's maps never shrink.
package keyspace
