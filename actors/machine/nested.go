package machine

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// nest takes an acquire whose caller has a hold of the key, and reports whether it did. It would wait for itself, so it is
// granted at once or refused. A shared hold joins that of its caller past those who wait, since they wait for it; it
// waits only for the renewal that proves the lease.
func (m *Machine) nest(h *Hold) bool {
	m.expire()
	parent := h.Within
	switch {
	case !m.cfg.Can.Exclusive, parent.listed != inHolders: // that has ended: it waits as others do
		h.Within = nil
		return false
	case h.kind == backends.Shared && parent.kind == backends.Shared && !parent.revoked:
		h.nested = true
		m.queue.addFirst(h, m.now)
	case m.queue.len == 0 && m.carrier(h) != nil:
		h.Within = nil
		return false
	default:
		m.refuse(h, m.deadlock())
	}
	return true
}

func (m *Machine) deadlock() error {
	return fmt.Errorf("%w: the acquire's own ctx comes from a hold of key %q", backends.ErrDeadlock, m.keeper.Key())
}

// asksFor is the first in line for whom the backend is asked; nil if there is none. What a nested hold waits for is here.
func (m *Machine) asksFor() *Hold {
	h := m.queue.first
	for h != nil && h.nested {
		h = h.next
	}
	return h
}

// denest takes care of nested holds that could not be granted at once, whose callers' holds have ended or were revoked.
func (m *Machine) denest() {
	for h := m.queue.first; h != nil && h.nested && !h.Within.has(); h = m.queue.first {
		m.queue.drop(h)
		if h.nested = false; h.Within.listed == inHolders {
			m.refuse(h, m.deadlock())
			continue
		}
		h.Within = nil
		m.queue.addLast(h)
	}
}
