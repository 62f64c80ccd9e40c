package machine

import "time"

// A Keeper is told of a lease that lingers, in the step in which that begins or ends.
// It may let somebody else have the lease meanwhile.
type Keeper interface {
	// Keep is asked before the lease of an attempt begins to linger. If it returns false,
	// the lease goes back at once. Each Keep that returned true is followed by one of the
	// other two.
	Keep(attempt uint64) bool

	// Resume is asked before the lease is handed on. If it returns false, somebody else
	// was given the lease: nothing is granted under it any more.
	Resume(attempt uint64) bool

	// Drop says that the lease goes back: nothing is granted under it any more.
	Drop()

	// Key is the machine's key, for words.
	Key() string
}

// mayLinger returns how long the next lease that nobody here needs stays. Where no push
// tells that another process waits, that is no longer than it may wait for a busy key.
func (m *Machine) mayLinger() time.Duration {
	switch {
	case m.cfg.LingerAgain && !m.used:
		return 0
	case !m.cfg.Can.Wakes:
		return min(m.cfg.Linger, m.cfg.Tenure)
	}
	return m.cfg.Linger
}

// lingers reports whether a lease that nobody here needs stays for a while.
func (l *leased) lingers(m *Machine) bool {
	return m.cfg.Linger > 0 && !m.closing && !l.contended && m.now < l.linger && !l.yields(m)
}

// keep begins the time in which the lease lingers, and answers the release before it;
// or ends it, since somebody here wants the key. A lease that was given to somebody else
// yields (see yields).
func (m *Machine) keep() {
	l := &m.leased
	switch {
	case m.sharing != nil:
		m.sharing.keep(m)
		return
	case m.phase != l || m.holders.len > 0:
		return
	}
	switch {
	case m.queue.len > 0:
		if l.kept {
			l.kept = false
			l.gone = !m.keeper.Resume(l.attempt)
		}
	case !l.lingers(m):
		// It goes back: see enter.
	case l.kept, m.keeper.Keep(l.attempt):
		l.kept = true
		if m.releasing != nil {
			m.releasing.Lingers = true
		}
		m.answerRelease(nil)
	default:
		l.linger = 0
	}
}
