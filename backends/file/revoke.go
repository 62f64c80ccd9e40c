//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// Revoke marks the lease of a key in its record, which a renewal finds, and tells
// the holder by a note. With Now the key goes to its next waiter instead.
func (b *Backend) Revoke(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	leave, err := b.begin(ctx)
	if err != nil {
		return backends.NobodyHolds, err
	}
	defer leave()
	for look := 1; ; look++ {
		found, err := b.revokeOnce(ctx, key, r)
		switch {
		case !errors.Is(err, errTaken):
			return found, err
		case look == looks:
			return found, backends.Unavailable(name, errUntold)
		}
		if err := b.nap(ctx, lookEvery); err != nil {
			return found, err
		}
	}
}

// looks is how often Revoke looks for a record that was removed. Its holder puts it back
// within lookEvery, unless it is stopped.
const looks = 10

var errUntold = errors.New("its record was removed, and its holder, which is stopped or hangs, has not put it back: let that process go on, or end it")

// revokeOnce returns errTaken if somebody has the key and there is no record of that.
func (b *Backend) revokeOnce(ctx context.Context, key string, r backends.Revocation) (backends.Revoked, error) {
	found, holders, missing := backends.NobodyHolds, []string{}, false
	err := b.change(ctx, key, false, func(rec *record, now int64) (write bool) {
		missing = rec.seq == 0 && rec.lease.none() && len(rec.shares) == 0
		if rec.expire(now); len(rec.shares) > 0 {
			found, holders, write = b.revokeShares(rec, r, now)
			return write
		}
		holders = []string{rec.lease.session}
		found, write = b.revoke(rec, r, now)
		return write
	})
	if errors.Is(err, errMissing) {
		missing, err = true, nil
	}
	switch {
	case err != nil:
		return backends.NobodyHolds, err
	case missing && b.marks.others(recordName(key)):
		return backends.NobodyHolds, errTaken
	}
	// After the mark, so that whoever is told finds it. Again if it was there
	// before: the first revoker may have died between mark and note.
	if found == backends.Marked || found == backends.Deleted {
		for _, session := range holders {
			b.tell(session, recordName(key))
		}
	}
	return found, nil
}

// revoke decides what becomes of the lease.
func (b *Backend) revoke(rec *record, r backends.Revocation, now int64) (found backends.Revoked, write bool) {
	switch {
	case b.rests(rec, now):
		if r.Base != 0 && (r.Base < rec.rest.first || r.Base > rec.last) {
			return backends.Superseded, false
		}
		b.giveBack(rec, 0, now)
		return backends.Deleted, true
	// A dead holder's lease is free to the next who asks, and is not revoked for it.
	case !b.held(rec, now) || rec.lease.promised:
		return backends.NobodyHolds, false
	case r.Base != 0 && (r.Base < rec.lease.first || r.Base > rec.last):
		return backends.Superseded, false
	case r.Now:
		b.giveBack(rec, 0, now)
		return backends.Deleted, true
	case rec.lease.revoked:
		return backends.Marked, false
	}
	rec.rest = rest{}
	rec.lease.revoked, rec.lease.reason = true, cut(r.Reason, backends.MaxReason)
	return backends.Marked, true
}

// revokeShares decides what becomes of shares. Their bases interleave, so that only the first and the newest
// name one.
func (b *Backend) revokeShares(rec *record, r backends.Revocation, now int64) (found backends.Revoked, holders []string, write bool) {
	found = backends.NobodyHolds
	for i := len(rec.shares) - 1; i >= 0; i-- {
		s := &rec.shares[i]
		switch {
		case !b.alive(s.session):
			continue
		case r.Base != 0 && r.Base != s.first && r.Base != s.base:
			if found == backends.NobodyHolds {
				found = backends.Superseded
			}
			continue
		}
		if !slices.Contains(holders, s.session) {
			holders = append(holders, s.session)
		}
		if r.Now {
			found, write = backends.Deleted, true
			rec.shares = slices.Delete(rec.shares, i, i+1)
			continue
		}
		if found = backends.Marked; !s.revoked {
			write, s.revoked, s.reason = true, true, cut(r.Reason, backends.MaxReason)
		}
	}
	if write && len(rec.shares) == 0 {
		b.pass(rec, now)
	}
	return found, holders, write
}

// givenNote before a record's name tells a waiter that it can fetch the key, or that
// it is the first in line. A record's name alone tells a holder that its lease was
// revoked.
const givenNote = "+"

// tell leaves a note, a line, in another session's file. The file is there for as
// long as its session, so nothing is left over to be swept. It is a hint, so a
// failed write is no error: a holder also finds out when it renews, and a waiter
// when it asks.
func (b *Backend) tell(session, note string) {
	fd, err := b.dir.open(session, unix.O_WRONLY|unix.O_APPEND)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	// Another file's second name would have us write there.
	if same, err := b.dir.names(session, fd); err != nil || !same {
		return
	}
	// One write: notes of two revokers don't mix.
	_, _ = unix.Write(fd, []byte(note+"\n"))
}
