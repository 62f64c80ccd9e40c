// Package model holds the rules of the scripts as a small state machine in plain Go, and random and
// fixed interleavings that try to break them. It has tests only: nothing imports it.
//
// A key of the model stands on one server, with sessions that follow the contract of package backends, pylocks whose
// commands interleave one by one, and a client of another library, which may also put a hash under one of the names.
// Requests are answered, or run and are not answered, or arrive up to 60 s late. The server's clock steps, and the
// server evicts, and its memory fills.
//
// After each step it checks:
//
//  1. S1: no two holds overlap, as their holders see it. Excused: an eviction of the lock, or of the companion of a
//     lease that a pylock overwrote; a leap of the clock forward; revoke with now; and a pylock's DEL or EXPIRE on a
//     lock that is not its own.
//  2. S2: fence bases grow strictly. Excused: the companion was lost and the clock stepped back.
//  3. S4: a fast free, release, cancel and renewal change the lock of their own token only.
//  4. S5: the lock is never under the token of an attempt that has ended, nor does such an attempt wait. One that was
//     given up gets no lease by a copy once a later one of its session has ended, nor is it given one by a later one's
//     script. Excused: marks that were evicted, or that a leap of the clock ended early; and a fast take after the
//     companion was evicted, until a full script runs.
//  5. No pylock that has won the lock in time has it taken away by a repair or a take-over. Excused: the lease's token
//     was evicted or deleted before, or the lease ran out and then the clock stepped back.
//  6. The companion lasts 60 s longer than its lease and than the time that last names.
//  7. A quiet key has nobody waiting and nothing to remember, unless its companion was evicted and no full script ran
//     since.
//  8. A fast free leaves nobody waiting, with the same excuse; without a companion it frees nothing.
//  9. Waiting sessions are served in the order in which they came, but for a leap of the clock forward.
//  10. Once nothing is left to remember, a full script makes the key quiet again.
//  11. A hash that another client put under one of the names stays.
//  12. A fast take makes no key while the server's memory is full.
//
// Each rule can be left out by a switch (see rule). The fixed interleavings show that each is needed: without it a
// check fails. TestKnownLimits plays what is excused.
//
// Left out: sessions that only poll, since the model has no pushes, and where a Cluster puts its keys.
package model
