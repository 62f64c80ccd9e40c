//go:build linux || darwin

package file

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// A holding is what this session knows of a lease of its own: enough to put its
// record back.
type holding struct {
	lease lease
	last  uint64
	rest  rest
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
	if h, ok := w.held[a.Key]; ok && b.clock.now() < h.lease.ends {
		return nil
	}
	delete(w.held, a.Key)
	if rec.seq == 0 && b.marks.others(file) {
		b.marks.clear(file)
		return errTaken
	}
	return nil
}

// hold notes a lease of this session, as its record will have it. A verb calls it
// under the record's flock, so that it comes before the drop of the lease's end.
func (b *Backend) hold(key string, rec *record) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, held := w.held[key]; !held {
		_ = b.marks.set(recordName(key)) // again: the end of its time may have cleared it
	}
	w.held[key] = holding{rec.lease, rec.last, rec.rest}
	w.startLocked(b)
}

// drop forgets a lease, and its mark.
func (b *Backend) drop(a backends.Attempt) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, recordName(a.Key))
	if h, ok := w.held[a.Key]; ok && h.lease.token == a.Token {
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
	h, ok := w.held[key]
	return ok && (token == backends.Token{} || h.lease.token == token) && b.clock.now() < h.lease.ends
}

// putBack gives a new record the lease that stood in the one before it, if that was
// ours and has not reached its end. It fails if another session has the key marked,
// since the mark can be one of three:
//
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
	if !ok || now >= h.lease.ends {
		return nil
	}
	if b.marks.others(recordName(rec.key)) {
		return errTaken
	}
	rec.lease, rec.last, rec.rest = h.lease, h.last, h.rest
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
			return rec.seq == 0 && !rec.lease.none()
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
