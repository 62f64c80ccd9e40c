//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"io/fs"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// reads is how often a record is read that is being written: a reader takes no
// flock, so that looking at a key works while its record is locked, and
// disturbs nobody. Only two writes within one reading spoil both slots.
const reads = 100

// Inspect tells what a record says, without changing it.
func (b *Backend) Inspect(ctx context.Context, key string) (backends.Info, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return backends.Info{}, err
	}
	defer leave()
	file := recordName(key)
	r, err := b.peek(file)
	if err != nil {
		return backends.Info{}, err
	}
	info := backends.Info{Waiting: new(int), Waiters: []backends.Waiter{}}
	// Without a record there can still be a holder, one that has not put it back yet
	// or is stopped. No more is known of it.
	if r == nil {
		info.Held = b.marks.others(file)
		return info, nil
	}
	// Another key's record under this name tells nothing of this key.
	if r.key != key {
		return info, nil
	}
	b.describe(r, &info)
	return info, nil
}

// describe says what a record does.
func (b *Backend) describe(r *record, info *backends.Info) {
	now := b.clock.now()
	// Counted afresh: dead waiters are dropped when the key is passed on, and not
	// before.
	for _, w := range r.queue {
		if w.alive >= now && b.alive(w.session) {
			info.Waiters = append(info.Waiters, w.told(now))
		}
	}
	*info.Waiting = len(info.Waiters)
	// Known also of a free key, for as long as its record stays.
	last := r.last
	info.Base = &last
	if left := span(r.rest.until - now); b.rests(r, now) {
		info.Held, info.Resting, info.Holder, info.ExpiresIn = true, true, &r.rest.label, &left
		return
	}
	if shares := b.sharing(r, now); len(shares) > 0 {
		describeShares(info, r.kind, shares, now)
		return
	}
	if !b.held(r, now) {
		return
	}
	info.Held, info.Revoked = true, r.lease.revoked
	heldFor, expires := span(max(0, now-r.lease.at)), span(r.lease.ends-now)
	info.HeldFor, info.ExpiresIn = &heldFor, &expires
	// The waiter that it is promised to brings its label along when it comes.
	if !r.lease.promised {
		label, first := r.lease.label, r.lease.first
		info.Holder, info.First = &label, &first
	}
}

// describeShares says who has the key together. The longest of them tells for all.
func describeShares(info *backends.Info, kind backends.Kind, shares []share, now int64) {
	longest := shares[0]
	info.Held, info.Revoked, info.Kind = true, true, kind
	for i, s := range shares {
		info.Out += s.permits
		info.Revoked = info.Revoked && s.revoked
		if s.ends > longest.ends {
			longest = s
		}
		if i < backends.MostHolders {
			info.Holders = append(info.Holders, s.told(now))
		}
	}
	one := longest.told(now)
	info.Holder, info.HeldFor, info.ExpiresIn, info.First, info.Base = one.Label, one.HeldFor, one.ExpiresIn, &one.First, &one.Base
}

// told returns the public view of a share.
func (s share) told(now int64) backends.Holder {
	heldFor, left := span(max(0, now-s.at)), span(max(0, s.ends-now))
	return backends.Holder{Label: &s.label, HeldFor: &heldFor, ExpiresIn: &left, Permits: s.permits, N: s.n, First: s.first, Base: s.base, Revoked: s.revoked}
}

// taken reports whether the key has a holder, or rests.
func (b *Backend) taken(r *record) bool {
	now := b.clock.now()
	return now < r.rest.until || b.held(r, now) || len(b.sharing(r, now)) > 0
}

// told returns the public view of a waiter.
func (w waiter) told(now int64) backends.Waiter {
	waited := span(max(0, now-w.since))
	return backends.Waiter{Label: &w.label, For: &waited, Kind: w.kind, N: w.n}
}

// List returns the full keys with that prefix that are held, sorted.
func (b *Backend) List(ctx context.Context, prefix string) ([]string, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	names, err := b.dir.list()
	if err != nil {
		return nil, failed("list", b.dir.path, err)
	}
	var keys []string
	for _, file := range names {
		if ctx.Err() != nil {
			return nil, backends.Interrupted(ctx, name)
		}
		if !strings.HasPrefix(file, recordPrefix) {
			continue
		}
		r, err := b.peek(file)
		if errors.Is(err, fs.ErrPermission) {
			return nil, err // a list without it would say that nobody holds its key
		}
		// An unreadable record has no key to be listed by; a verb will tell.
		if err == nil && r != nil && strings.HasPrefix(r.key, prefix) && b.taken(r) {
			keys = append(keys, r.key)
		}
	}
	sort.Strings(keys)
	return keys, nil
}

// peek reads a record without its flock; nil without an error is none.
func (b *Backend) peek(file string) (*record, error) {
	fd, err := b.dir.open(file, unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("open", b.dir.join(file), err)
	}
	defer unix.Close(fd)
	var r *record
	for range reads {
		if r, err = b.read(fd); err == nil {
			return r, nil
		}
	}
	return nil, b.unreadable(file, err)
}
