//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// A holding is what this session knows of what it has of a key: enough to put its
// record back.
type holding struct {
	lease  lease
	last   uint64
	rest   rest
	kind   backends.Kind
	shares []share // its own
}

// ends is when the last of it is over.
func (h holding) ends() int64 {
	ends := h.lease.ends
	for _, s := range h.shares {
		ends = max(ends, s.ends)
	}
	return ends
}

// errTaken: a record is missing in which another session's lease may have stood. It
// passes: the holder puts its record back, or its mark goes when the lease's time is
// over.
var errTaken = backends.Unavailable(name, errors.New("the record of a key was removed that another session has marked"))

// claim marks a key whose record is about to say that it is ours. It fails if the
// record has just been made, and another session has the key marked: then somebody
// removed the holder's record.
//
// Two calls can be here at once for one key, each with the flock of another file of
// the same name, since the first was removed between. Neither overlooks the other:
// each marks first. If both find a new record, both look afterwards, and at most one
// goes on. Otherwise one had an older record. Either that record still has its name
// when its call is through (see change): then the other record is made later, and
// its call looks at the marks after that. Or it has lost its name: then the write to
// it doesn't count.
func (b *Backend) claim(rec *record, a backends.Attempt) error {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	file := recordName(a.Key)
	if err := b.marks.set(file); err != nil {
		return backends.Unavailable(name, err)
	}
	// A lease of ours that is over doesn't show who has the key now. It is forgotten
	// here, since a later notice of its end would clear the mark that was just set.
	if h, ok := w.held[a.Key]; ok && b.clock.now() < h.ends() {
		return nil
	}
	delete(w.held, a.Key)
	if rec.seq == 0 && b.marks.others(file) {
		b.marks.clear(file)
		return errTaken
	}
	return nil
}

// hold notes what this session has of a key, as its record will have it. A verb calls it
// under the record's flock, so that it comes before the drop of the lease's end.
func (b *Backend) hold(key string, rec *record) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, held := w.held[key]; !held {
		_ = b.marks.set(recordName(key)) // again: the end of its time may have cleared it
	}
	h := holding{lease: rec.lease, last: rec.last, rest: rec.rest, kind: rec.kind}
	for _, s := range rec.shares {
		if s.session == b.session.name {
			h.shares = append(h.shares, s)
		}
	}
	w.held[key] = h
	w.startLocked(b)
}

// drop forgets what an attempt has, and the mark once nothing is left.
func (b *Backend) drop(a backends.Attempt) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if file := recordName(a.Key); w.waiting[file].attempt.Token == a.Token {
		delete(w.waiting, file)
	}
	h, ok := w.held[a.Key]
	if !ok {
		return
	}
	if h.lease.token == a.Token {
		h.lease = lease{}
	}
	h.shares = slices.DeleteFunc(h.shares, func(s share) bool { return s.token == a.Token })
	if w.held[a.Key] = h; h.lease.none() && len(h.shares) == 0 {
		b.forgetLocked(a.Key)
	}
}

// forgetLocked forgets a lease; the watcher's mutex is held.
func (b *Backend) forgetLocked(key string) {
	delete(b.watcher.held, key)
	b.marks.clear(recordName(key))
}

// holds reports whether this session has the key by this attempt; an empty token is
// any.
func (b *Backend) holds(key string, token backends.Token) bool {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	h, now := w.held[key], b.clock.now()
	if token == (backends.Token{}) {
		return now < h.ends()
	}
	return h.lease.token == token && now < h.lease.ends ||
		slices.ContainsFunc(h.shares, func(s share) bool { return s.token == token && now < s.ends })
}

// putBack gives a new record the lease that stood in the one before it, or the shares, if
// they were ours and have not reached their end. It fails if another session has the key marked,
// since the mark can be one of four:
//
//   - one that has a share beside ours: the first is put back when only one session is left;
//   - a call that is about to find ours, in claim;
//   - a holder before us, which has slept past its end and not cleared it yet;
//   - the holder after us: the lease was revoked and given away at once.
//
// Our mark stays set meanwhile: as long as our caller may believe in its hold,
// nobody may be granted the key in a new record. If the other mark stays, the
// renewals fail until the hold ends at its time.
func (b *Backend) putBack(rec *record, now int64) error {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	h, ok := w.held[rec.key]
	if !ok || now >= h.ends() {
		return nil
	}
	if b.marks.others(recordName(rec.key)) {
		return errTaken
	}
	rec.lease, rec.last, rec.rest, rec.kind, rec.shares = h.lease, h.last, h.rest, h.kind, slices.Clone(h.shares)
	return nil
}

// mend puts back the records of our leases that are missing. It looks at the named
// files alone, unless all is set.
func (b *Backend) mend(names []string, all bool) {
	w := &b.watcher
	w.mu.Lock()
	var keys []string
	for key := range w.held {
		keys = append(keys, key)
	}
	w.mu.Unlock()
	gone := make(map[string]bool, len(names))
	for _, file := range names {
		gone[file] = true
	}
	for _, key := range keys {
		file := recordName(key)
		var st unix.Stat_t
		if !all && !gone[file] {
			continue
		}
		// An empty one was made by somebody who wants the key, and found it marked.
		if err := unix.Fstatat(b.dir.fd, file, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT && (err != nil || st.Size > 0) {
			continue
		}
		// After a failure the next look, or the next renewal, tries again. Until
		// then the mark keeps the key.
		_ = b.change(context.Background(), key, false, func(rec *record, _ int64) bool {
			return rec.seq == 0 && (!rec.lease.none() || len(rec.shares) > 0)
		})
	}
}

// refresh makes the files of a lease look used: systemd-tmpfiles and its like remove
// files that were not used for long, unless the flock on the directory keeps them
// away.
func (b *Backend) refresh(key string) {
	for _, file := range []string{recordName(key), b.session.name, "."} {
		b.dir.touch(file)
	}
}
