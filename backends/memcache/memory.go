package memcache

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// keep is how long, at least, this process remembers a key that it has nothing more
// to do with: far beyond the 2 s that a call can be on its way, and no longer, as a
// process that uses 20 000 keys a second has a note of each. It is never more than
// twice that.
const keep = 5 * time.Second

// memory is what this process knows of keys beside what the server says. None of
// it is needed for exclusion.
type memory struct {
	mu       sync.Mutex // protects what follows
	now, old map[memoryKey]*note
	timer    *time.Timer // nil: there are no notes; see turn
	closed   bool
}

// A memoryKey has the key's hash: a note keeps no key alive, of whatever length.
type memoryKey struct {
	digest  [sha256.Size]byte
	session backends.Session
}

func memoryKeyOf(a backends.Attempt) memoryKey {
	return memoryKey{sha256.Sum256([]byte(a.Key)), a.Token.Session()}
}

// A note is about one key, for one session.
type note struct {
	settled uint64 // the highest attempt that was released or cancelled
	// aside is until when the session stands back, so that others get the key.
	aside time.Time
	// wish is the wait item as it was last seen, and wished when it was first seen so.
	wish   string
	wished time.Time
}

// with calls f on a key's note, which is made if there is none. f must not call
// out of the package.
func (m *memory) with(a backends.Attempt, f func(*note)) {
	k := memoryKeyOf(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil {
		m.now = make(map[memoryKey]*note)
	}
	if m.timer == nil && !m.closed {
		m.timer = time.AfterFunc(keep, m.turn)
	}
	n := m.now[k]
	if n == nil {
		if n = m.old[k]; n == nil {
			n = &note{}
		}
		m.now[k] = n
	}
	f(n)
}

// turn drops the older of two generations: what was not used for 5 to 10 s goes, in
// one step. It comes again until there are no notes, of which none may stay behind
// when the traffic stops.
func (m *memory) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.old, m.now = m.now, nil
	if m.timer = nil; m.old != nil && !m.closed {
		m.timer = time.AfterFunc(keep, m.turn)
	}
}

// close forgets the notes. Verbs that are still under way may make some more.
func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.timer != nil {
		m.timer.Stop() // if it is too late for that, turn finds nothing
	}
}

// settle ends an attempt, and all before it of its session on its key.
func (m *memory) settle(a backends.Attempt) {
	m.with(a, func(n *note) { n.settled = max(n.settled, a.Token.Attempt()) })
}

func (m *memory) settled(a backends.Attempt) bool { return m.read(a).settled >= a.Token.Attempt() }

// aside is how much longer the session stands back from a key.
func (m *memory) aside(a backends.Attempt) time.Duration { return time.Until(m.read(a).aside) }

// read copies a key's note, and makes none.
func (m *memory) read(a backends.Attempt) note {
	k := memoryKeyOf(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, generation := range []map[memoryKey]*note{m.now, m.old} {
		if n := generation[k]; n != nil {
			return *n
		}
	}
	return note{}
}

func (m *memory) standAside(a backends.Attempt, d time.Duration) {
	m.with(a, func(n *note) { n.aside = time.Now().Add(d) })
}

// see notes a wait item's value, and returns for how long it has been the same.
func (m *memory) see(a backends.Attempt, wish string) (unchanged time.Duration) {
	now := time.Now()
	m.with(a, func(n *note) {
		if n.wish != wish {
			n.wish, n.wished = wish, now
		}
		unchanged = now.Sub(n.wished)
	})
	return unchanged
}
