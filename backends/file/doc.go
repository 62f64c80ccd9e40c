// Package file keeps leases in a directory, for the processes of one machine,
// in containers too, with no server. It works on Linux and macOS, on a local
// file system: flock(2) over NFS is something else.
//
// Two kinds of files stand in the directory:
//
//	k-HASH    a record: who has one key, who waits for it, its last fence base
//	s-RANDOM  a session: its process holds it under flock for as long as it lives,
//	          and finds notes in it, of leases that were revoked and of its turn
//
// What keeps a lease exclusive:
//
//  1. A record changes only under its flock, and after the flock was taken the
//     path must still name the locked inode; a cleaner may have unlinked it.
//  2. A record has two slots, and a change is written to the older one, with a
//     checksum. A write that was torn by a crash or a full disk leaves the newer
//     slot as it was: the change did not happen, and whoever made it was told so or
//     is dead. The blocks of both slots are taken when a key is granted, 8 KiB in
//     all, so that no renewal needs more. A long queue takes more, and so do many shares,
//     which take theirs when they are granted. Copy-on-write
//     file systems (btrfs, ZFS) don't promise that.
//  3. A record names the full key, so two keys whose names collide are refused
//     rather than merged.
//  4. A lease ends at its time, or when its session is over: the kernel drops its
//     mark and its flock with the process, however that ended. No process ids are
//     compared, so containers with namespaces of their own take part.
//  5. A free key goes to the first waiter that is alive, whoever calls.
//  6. Every descriptor is close-on-exec: a child can't keep a session alive by
//     accident. [Backend.SessionFile] is there to do it on purpose.
//  7. Files can be removed by anybody at any time. A session marks the directory
//     itself: it locks one byte for its own life, and one for each key that it
//     holds. These locks end only with the process. A session whose file is missing
//     is alive while its mark is there. A new record grants nothing while another
//     session has its key marked. The holder puts a removed record back: at once on
//     Linux, within 100 ms elsewhere, and at each renewal. It can't while another
//     session has the key marked as well (an earlier holder, stopped since before
//     its lease ended). Then renewals fail, the hold ends at its time, and nobody is
//     granted the key before. A stopped process whose record was removed keeps its
//     key until it goes on or is ended, also past the lease's end, because only the
//     record said when that is.
//
// Two things keep out cleaners that follow tmpfiles.d(5): a flock on the directory
// for as long as a session lives, and the files' times, which each renewal sets.
//
// If the directory itself is removed or renamed, the holds in it end as soon as
// their sessions notice. Shortly before that, others may be granted the same keys in
// a new directory. Some systems can't mark a directory (macOS may be one; it was not
// tried). There, a removed record or session frees its keys until it is put back.
//
// A record both of whose slots are unreadable was not written by this package:
// nobody is granted its key, each verb says so with the path, and it counts as
// free when it was not touched for longer than the longest lease.
//
// A key that is held shared, or by slots, has shares in its record in place of a lease: one for each
// attempt, about 200 bytes, at most 1000. One more is refused with ErrOverloaded. They end as leases
// do, each alone, and the last gives the key to the first that waits. A share of a dead session goes
// when somebody waits for what it has. One call looks for 64 sessions at most. The same rules as on
// Redis say who may join; see scripts/model/kinds. Waiters that can join are told by a note.
//
// If a record is removed that has shares of several sessions, none can put it back before the others
// have released theirs, or their time is over: a mark doesn't say what it stands for. Renewals fail
// meanwhile, and nobody is granted the key.
//
// Records have versions. One without shares, and without waiters for any, is written as it was before
// there were kinds of holds, and programs of that time go on with it. Other records they refuse as
// unreadable: their holds of that key end at their time. Use kinds in a directory once all programs
// there know them.
//
// A lease is revoked by a flag in its record: from then on it is not made longer,
// and goes to the next when its holder releases it, or its time is over. A process
// with leases looks into its session file every 100 ms, or inotify wakes it at once.
// If the note is lost, it learns of the revocation when it renews. A key that is
// promised to a waiter and not yet fetched is nobody's, and can't be revoked.
//
// A waiter is told by a note when the key is its to fetch, or when it is the first
// in line. The first asks every 25 ms, because a holder that dies tells nobody. The
// waiters behind it ask every 100 to 800 ms.
//
// Lease ends are told on the clock that runs since boot (Linux), which neither
// a step of the wall clock nor a suspend disturbs; on macOS on the wall clock.
//
// A process that is stopped while it has a record's flock, which is held for
// some microseconds a call, blocks that key: calls of others end with their
// context, or after 2 s, and match ErrUnavailable.
package file
