//go:build linux || darwin

package file

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// lookEvery is how often a holder looks for notes where no alarm wakes it. A
	// look costs two fstats. It has to learn of a revocation within 250 ms; the rest
	// is for a busy machine.
	lookEvery = 100 * time.Millisecond
	// listenEvery is the same for a waiter: it has to take a key within 25 ms.
	listenEvery = 20 * time.Millisecond
	// alarmEvery is how often a session with an alarm still looks by itself, for
	// leases and waiters that are over.
	alarmEvery = 3 * time.Second
	// attention is how long a waiter goes on listening after it last asked. The
	// farthest asks every 800 ms.
	attention = 3 * time.Second
	// maxNotes is how long a session file gets before it is emptied, in bytes: some
	// 1 900 notes.
	maxNotes = 64 << 10
)

// A watcher reads the notes for this session (a lease was revoked, its turn has
// come) and looks after the files of its leases. It runs only while the session has
// leases or waits, so that a session that only inspects is not woken.
type watcher struct {
	work  sync.WaitGroup // the one goroutine there is while running
	seen  int64          // how far it has read the session file; that goroutine's alone
	mtime unix.Timespec  // of the directory at the last look; that goroutine's alone

	mu      sync.Mutex          // protects what follows
	wake    func(backends.Wake) // nil: nobody wants to know
	held    map[string]holding  // by key
	waiting map[string]turn     // by record
	running bool
	closed  bool
	deaf    bool   // a test's: there is no alarm
	alarm   *alarm // nil: none; kept once it is there
}

// A turn is this session's wait for a key.
type turn struct {
	attempt backends.Attempt
	until   int64 // the wait is over if it doesn't ask again; on the backend's clock
}

// close is called under the backend's life lock: no verb starts it again.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	if w.alarm != nil {
		w.alarm.close()
	}
	w.mu.Unlock()
	w.work.Wait()
}

// Subscribe has wake called with [backends.Revoking] when a lease of this session
// was revoked, and with [backends.Given] when its turn has come for a key that it
// waits for: no more than hints. The session is the one that Open started, whatever
// its name.
func (b *Backend) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	leave, err := b.enter(context.Background())
	if err != nil {
		return err
	}
	defer leave()
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake = wake
	return nil
}

// wait notes that this session waits for a key.
func (b *Backend) wait(a backends.Attempt) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake == nil {
		return // nobody would be told
	}
	w.waiting[recordName(a.Key)] = turn{a, b.clock.now() + ceil(attention)}
	w.startLocked(b)
}

func (w *watcher) startLocked(b *Backend) {
	if !w.running {
		w.running = true
		w.work.Go(b.watch) // ends when there is nothing to watch for, or by Close, which waits for it
	}
}

// unneeded forgets leases and waits that are over, and reports whether none is left,
// so that the goroutine can end as well. It drops the marks of leases that ended by
// themselves and were not released.
func (b *Backend) unneeded() bool {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	now := b.clock.now()
	for key, h := range w.held {
		if now >= h.ends() {
			b.forgetLocked(key)
		}
	}
	for file, t := range w.waiting {
		if now >= t.until {
			delete(w.waiting, file)
		}
	}
	w.running = len(w.held)+len(w.waiting) > 0
	return !w.running
}

func (b *Backend) watch() {
	for {
		gone, all := b.sleep()
		select {
		case <-b.closing:
			return
		default:
		}
		b.look()
		if len(gone) > 0 || all {
			b.mend(gone, all)
		}
		if b.unneeded() {
			return
		}
	}
}

// sleep waits until there may be something to see. It returns the names of removed
// files, or reports that any may be removed.
func (b *Backend) sleep() (gone []string, all bool) {
	w := &b.watcher
	w.mu.Lock()
	alarm, pause, fresh := w.alarm, lookEvery, false
	if len(w.waiting) > 0 {
		pause = listenEvery
		fresh = alarm == nil && b.raiseLocked() != nil
	}
	w.mu.Unlock()
	switch {
	case fresh:
		return nil, true // it doesn't report events from before it was there
	case alarm != nil:
		return alarm.wait(alarmEvery)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.closing:
	}
	// The alarm is made no earlier: to close one takes some 10 ms, and many holds
	// are over by now.
	w.mu.Lock()
	defer w.mu.Unlock()
	return nil, b.raiseLocked() != nil || b.changed()
}

// raiseLocked makes the alarm, if there can be one.
func (b *Backend) raiseLocked() *alarm {
	w := &b.watcher
	if !w.closed && !w.deaf {
		w.alarm = newAlarm(b.dir.fd, b.session.fd)
	}
	return w.alarm
}

// changed reports whether files may have come or gone since the last look.
func (b *Backend) changed() bool {
	var st unix.Stat_t
	if unix.Fstat(b.dir.fd, &st) != nil {
		return true
	}
	same := st.Mtim == b.watcher.mtime
	b.watcher.mtime = st.Mtim
	// Times are coarse: two changes can have the same.
	return !same || time.Since(time.Unix(st.Mtim.Unix())) < lookEvery
}

// restore replaces the session file if it was removed.
func (b *Backend) restore() error {
	w := &b.watcher
	if b.session.linked() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.session.linked() {
		return nil
	}
	if w.closed {
		return backends.ErrClosed
	}
	if err := b.session.restore(b.dir); err != nil {
		return err
	}
	if w.alarm != nil {
		w.alarm.follow(b.session.fd)
	}
	// A note may have gone with it.
	if w.wake != nil {
		wake := w.wake
		w.work.Go(func() { wake(backends.Wake{Kind: backends.Revoking}) }) // ends at once, as a wake must not block
	}
	return nil
}

// look reads the new notes, and makes room for more.
func (b *Backend) look() {
	w := &b.watcher
	if b.dir.moved() {
		b.revoking("")
		return
	}
	_ = b.restore()
	var st unix.Stat_t
	if unix.Fstat(b.session.fd, &st) != nil || st.Size == w.seen {
		return
	}
	if st.Size > maxNotes {
		// Emptied first: of a note that is lost by that, the mark is in its record
		// already, where the renewals of all keys find it.
		if unix.Ftruncate(b.session.fd, 0) == nil {
			st.Size = 0
		}
		w.seen = st.Size
		b.revoking("")
		return
	}
	if st.Size < w.seen {
		w.seen = 0 // somebody emptied it
	}
	notes := make([]byte, st.Size-w.seen)
	n, err := pread(b.session.fd, notes, w.seen)
	if err != nil {
		return
	}
	notes = notes[:bytes.LastIndexByte(notes[:n], '\n')+1] // the last may be half a note
	w.seen += int64(len(notes))
	for line := range bytes.Lines(notes) {
		note := string(line[:len(line)-1])
		if file, given := strings.CutPrefix(note, givenNote); given {
			b.given(file)
			continue
		}
		b.revoking(b.keyOf(note))
	}
}

// keyOf is the key that a note is about, or "", which is all keys, if it is not to
// be understood.
func (b *Backend) keyOf(note string) string {
	if !isName(note, recordPrefix) {
		return ""
	}
	r, err := b.peek(note)
	if err != nil || r == nil {
		return ""
	}
	return r.key
}

func (b *Backend) revoking(key string) {
	b.watcher.mu.Lock()
	wake := b.watcher.wake
	b.watcher.mu.Unlock()
	if wake != nil {
		wake(backends.Wake{Key: key, Kind: backends.Revoking})
	}
}

// given passes on that our turn has come, if we still wait.
func (b *Backend) given(file string) {
	b.watcher.mu.Lock()
	wake, turn := b.watcher.wake, b.watcher.waiting[file]
	b.watcher.mu.Unlock()
	if turn.attempt.Key != "" {
		wake(backends.Wake{Key: turn.attempt.Key, Kind: backends.Given})
	}
}
