//go:build linux || darwin

package file

import (
	"bytes"
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// lookEvery is how often a holder looks for notes, which costs it an fstat. It
	// has to learn of a revocation within 250 ms; the rest is for a busy machine.
	lookEvery = 100 * time.Millisecond
	// maxNotes is how long a session file gets before it is emptied, in bytes: some
	// 1 900 notes.
	maxNotes = 64 << 10
)

// A watcher looks for notes that leases of this session were revoked, as long as
// it has any: who only waits or inspects is not woken ten times a second.
type watcher struct {
	work sync.WaitGroup // the one goroutine there is while running
	seen int64          // how far it has read the session file; that goroutine's alone

	mu      sync.Mutex          // protects what follows
	wake    func(backends.Wake) // nil: nobody wants to know
	held    map[backends.Attempt]struct{}
	until   int64 // when the last of held ends, on the backend's clock
	running bool
}

// Subscribe has wake called with [backends.Revoking] when a lease of this session
// was revoked: no more than a hint, and the only push that a directory has. The
// session is the one that Open started, whatever its name.
func (b *Backend) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	leave, err := b.enter(context.Background())
	if err != nil {
		return err
	}
	defer leave()
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake, w.held = wake, make(map[backends.Attempt]struct{})
	return nil
}

// hold notes a lease of this session. A verb calls it under the record's flock,
// so that it comes before the drop of the lease's end.
func (b *Backend) hold(a backends.Attempt, ends int64) {
	w := &b.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wake == nil {
		return
	}
	w.held[a] = struct{}{}
	w.until = max(w.until, ends)
	if !w.running {
		w.running = true
		w.work.Go(b.watch) // ends when nothing is held, or by Close, which waits for it
	}
}

// drop forgets a lease. The goroutine goes on to its next look: a process that takes
// and releases a key all the time doesn't start it each time.
func (w *watcher) drop(a backends.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.held, a)
}

// idle reports that there is nothing to watch for, and that the goroutine is over.
func (w *watcher) idle(now int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) > 0 && now < w.until {
		return false
	}
	// What is left are leases that ended by themselves, and that nobody released.
	clear(w.held)
	w.until, w.running = 0, false
	return true
}

func (b *Backend) watch() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-b.closing:
			return
		}
		b.look()
		if b.watcher.idle(b.clock.now()) {
			return
		}
	}
}

// look reads the notes that are new.
func (b *Backend) look() {
	w := &b.watcher
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
		b.revoking(b.keyOf(string(line[:len(line)-1])))
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
	wake(backends.Wake{Key: key, Kind: backends.Revoking})
}
