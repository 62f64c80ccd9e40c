// Package memcache keeps leases in memcached: for efficiency, not for correctness.
// memcached forgets. A restart, a flush or an eviction drops a lease while its
// holder believes in it, until it renews; a resource that must not suffer from
// that has to check fences.
//
//	memcache://HOST[:PORT][,HOST:PORT…]?timeout=500ms&max_idle=64&lazy=true
//
// timeout is that of one command, and of a dial; max_idle is how many
// connections to each server are kept, for 30 s from their last use. Of several servers each has to be named with its
// port, and in the same words by every process: a key's server is picked by a
// rendezvous of both names. The order doesn't matter. To add or to remove a
// server moves the keys that it gets or had, and whoever has one of them then
// has it on the old server alone.
//
// # Items
//
//	KEY                    the lock; turnstile:lock:HASH if memcached can't carry the key
//	turnstile:fence:HASH   a counter, for 10 minutes from its seed; 2^62 and more: not seeded yet, for 3 s
//	turnstile:wait:HASH    one session that waits, for 2 s
//	turnstile:revoke:HASH  the lease that somebody wants to end, for 25 hours
//
// HASH is the key's SHA-256, and a key that begins with "turnstile:" is hashed
// too, so that no item is ever two keys'. All of a key's items are on one server.
//
// # Why it excludes
//
// The lock's value is the attempt's token, alone when it was added, with the
// lease's bases and end when it is granted. What is done to it is one of these:
//
//  1. add: if there is none. Whoever else adds at the time, of whatever library,
//     is told that it is there.
//  2. cas of the own token, alone or granted, for the own token, granted: the
//     grant and the renewal. Its number is from a gets that found the token.
//  3. cas of the own token for nothing, which deletes: release and cancel; of
//     whatever was seen, when a lease is revoked at once.
//
// So an item only ever changes hands by its absence, and one that was found to
// be another's is not touched unless somebody asks for just that. A number names
// one state of one item of one run of the server; as a restarted server counts from
// 1 again, a number is sent over the connection that it came by, or not at all. (A
// proxy that outlives its servers, like mcrouter, takes that away: don't put one in
// between.)
//
// A lease is granted by step 2 alone (S1). It lasts from before the call was
// sent; the item lasts from the swap, rounded up, and a second more.
//
// Any command may be lost, or its answer; or it may arrive late, when its
// connection was given up and other commands have overtaken it:
//
//   - An add without an answer is followed by gets: the own token means that it
//     was stored, another's that the key is held, none that it wasn't, or was and is over;
//     it is added once more, and a late copy finds that there is one.
//   - An add that arrives after its attempt was released or cancelled leaves a
//     token that is nobody's lease: it goes by itself within 3 s, or when the same
//     process looks at the key. Nothing can stop it, but nobody is granted anything.
//   - One that arrives in the middle of a lease that was dropped by a flush looks
//     like the lease's own token. But it is bare: a renewal does not take it.
//   - A cas without an answer is followed by gets and, if the token is still
//     there, by another: of both, the first to arrive changes the number, and the
//     other fails. A late one is harmless for the same reason: release and cancel
//     delete what they find, at whatever number it is, until they find nothing.
//   - incr may count twice. Bases may skip numbers.
//   - A miss or a conflict at a cas is no verdict: it may have been caused by our
//     own renewal, or by an earlier try. The next gets is one.
//   - A cancel that crosses an acquire of its own process settles the attempt
//     before it looks, and the acquire asks whether it is settled after its swap:
//     either the one finds the lease, or the other takes it back (S5).
//
// Fences grow (S2), since a base is drawn between the gets and the cas of step 2:
// the number proves that the item was the attempt's all the while. What was
// granted before had left the item by then; what is granted after comes to it
// later. A renewal draws a base, too, above the one in the item. Release and
// renewal with an old token find another's item, or none (S4).
//
// # Its limits
//
// A counter that is lost is seeded anew with the time in µs. Fences grow over
// that unless the clock of the process which seeds is behind the one's that did
// before by more than the time since. A counter that ends by itself is ten minutes old.
// After a flush the same holds, and the time since may be short.
//
// memcached's clock ticks once a second, a little late each time: measured, 1
// to 2 ms on Debian's 1.6.18, so that every ten minutes or so one second is skipped. A
// lease that was set in the second before can end up to a second earlier than
// is reckoned with. The rounding up covers the first hold of whole seconds under
// it. A hold that it was handed on to, or one of another length, can be
// overlapped in its last half second. A server that was stopped
// (SIGSTOP, a paused machine) skips as many seconds at once; what it held can end
// earlier than its holder reckons by all of them.
//
// A server started with -C has no cas, and is ErrRefused. One started with -M, so
// that it evicts nothing, keeps locks to their end while it is full: a release is
// a swap, which it refuses, as it refuses renewals. Both are ErrUnavailable then.
//
// After a crash the next grant comes within expires + 2.5 s for an expires of whole
// seconds (of at most 40), and a second later at the worst for others.
//
// # Waiting
//
// memcached pushes nothing. A session that waits probes, once for all of its
// process: every 1 to 16 ms at first, every 25 to 50 ms after a quarter of a
// second. It writes a wait item beside the key, which a holder reads when it renews,
// twice a Tenure while others want the key. On a release that finds one, the session stands
// back from the key for 50 ms, or until another has taken it. That makes
// sessions take turns, in no order.
//
// While a server is away, one probe at a time dials it for all keys; see package door.
// When it answers again, all keys are told (backends.Answering).
//
// # Revoking
//
// A swap sets an item's expiry anew, and nobody but its holder knows what a lease
// has left. So the lock itself is not marked: a revoke item beside it names the
// lease, by the first base that it minted. Its holder reads that in the same
// command as the lock. It learns of it when it renews, no earlier: at a third of
// the lease, and twice a Tenure while holds are handed on. A renewal that has looked
// before is the last. Release deletes the item; one that stays means no other lease. An
// eviction can drop it before it is read, and then the holder isn't told; to revoke
// the lease again writes it again.
//
// A lock of another library can't be revoked, other than by deleting it. And which
// keys are held can't be listed: memcached has no command for that.
//
// # Other libraries
//
// Locks of other libraries that add a value under a key and delete it exclude
// ours under the same full key, and ours exclude theirs: sherlock with its
// namespace and an underscore as the prefix, DistributedLock with "lock:".
// With several servers they would have to pick the same one. Their values are
// not touched unless somebody asks to delete them. Their own release is a get and
// then a delete, which can delete another's lock, and ours; the holder learns of it
// when it renews.
package memcache
