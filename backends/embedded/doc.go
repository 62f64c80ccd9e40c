// Package embedded keeps leases in this process: the lock's own Lua scripts
// over a keyspace in memory.
//
// Nothing of the lock is written twice: a lease here behaves as on Redis
// because the same files decide it, down to the reply. What this package adds
// is around them: named stores, their shards, the inboxes, and the way from a
// script's reply to the contract's.
//
// What it keeps true:
//
//  1. Two backends of one name share a store, in one process. The store goes
//     with the last of them, and so do its leases.
//  2. The keys of a lock are in one shard, and a shard runs one script at
//     a time: a script is atomic, and locks of other shards don't wait for it.
//  3. A message is delivered after its script has ended and outside every lock
//     of this package but the inbox's own. So is a session that is asked for a lease
//     that lingers.
//  4. An idle store has no goroutine. It has a timer a shard, and only while
//     the shard holds a key that will expire.
package embedded
