package memcache

import (
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// keep is how long this process remembers a key that it has nothing more to do
// with: far beyond the 2 s that a call can be on its way.
const keep = time.Minute

// memory is what this process knows of keys beside what the server says. None of
// it is needed for exclusion.
type memory struct {
	mu       sync.Mutex // protects what follows
	now, old map[memoryKey]*note
	turned   time.Time // when now began
}

type memoryKey struct {
	key     string
	session backends.Session
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
	m.mu.Lock()
	defer m.mu.Unlock()
	// Two generations: what was not used in the last 60 to 120 s goes, in one
	// step and with no timers.
	if since := time.Since(m.turned); m.now == nil || since > keep {
		m.old, m.now, m.turned = m.now, make(map[memoryKey]*note), time.Now()
		if since > 2*keep {
			m.old = nil
		}
	}
	k := memoryKey{a.Key, a.Token.Session()}
	n := m.now[k]
	if n == nil {
		if n = m.old[k]; n == nil {
			n = &note{}
		}
		m.now[k] = n
	}
	f(n)
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
	m.mu.Lock()
	defer m.mu.Unlock()
	k := memoryKey{a.Key, a.Token.Session()}
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
