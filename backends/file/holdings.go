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
}

// errTaken: a record is missing that another session's lease may have stood in. It
// passes: whoever has the key puts its record back, or its mark goes with its time.
var errTaken = backends.Unavailable(name, errors.New("the record of a key was removed that another session has marked"))

// claim marks a key whose record is about to say that it is ours. It fails if the
// record has just been made, and another session has the key marked: then somebody
// removed the holder's record.
//
// Two calls can be here at once for one key, each with the flock of another file of
// the same name, since the first was removed between. Neither overlooks the other:
// each marks first. If both find a new record, both look afterwards, and at most one
// goes on. If one had an older record, then either it still has its name when this
// one is through, see change, and the other's record is made, and the marks are looked
// at, after that; or it has not, and what was written to it does not count.
func (b *Backend) claim(rec *record, a backends.Attempt) error {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	file := recordName(a.Key)
	if err := b.marks.set(file); err != nil {
		return backends.Unavailable(name, err)
	}
	// A lease of ours that is over says nothing of who has the key now; and were its end
	// noticed only after this, the mark would be cleared that is set here.
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
		_ = b.marks.set(recordName(key)) // again, if the end of its time was noticed in between
	}
	w.held[key] = holding{rec.lease, rec.last}
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

// forgetLocked is called with the watcher's mutex.
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
// ours and has not reached its end. With another session's mark on the key it fails,
// for the mark does not say which it is of three:
//
//   - a call that is about to find ours, in claim;
//   - a holder before us, which has slept past its end and not cleared it yet;
//   - the holder after us: the lease was revoked and given away at once.
//
// Ours stays set meanwhile. Our caller may still believe in its hold, and nobody is
// to be granted the key in a new record as long as it may. If the other's does not go,
// the renewals fail until the hold ends at its time.
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
	rec.lease, rec.last = h.lease, h.last
	return nil
}

// mend looks whether the records of our leases are still there, and puts them back.
// With names, only those are looked at.
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
		// What can't be put back now is by the next look, or the next renewal. Until
		// then the mark keeps the key.
		_ = b.change(context.Background(), key, false, func(rec *record, _ int64) bool {
			return rec.seq == 0 && !rec.lease.none()
		})
	}
}

// refresh makes the files of a lease look used: systemd-tmpfiles and its like remove
// what was not for long, where the flock on the directory does not keep them away.
func (b *Backend) refresh(key string) {
	for _, file := range []string{recordName(key), b.session.name, "."} {
		b.dir.touch(file)
	}
}
