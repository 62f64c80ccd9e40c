package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Why says what an acquire that got nothing had been waiting for.
type Why struct {
	Waited  time.Duration
	Place   int           // in this process's queue, from 1; 0 when never queued, or deep in a long one
	Queue   int           // how many waited in this process, this one included
	Process int           // this process's place among those that wait, from 1; 0 when unknown
	Held    bool          // somebody has the key, or this process while it is between two holds
	Holder  string        // the holder's label; empty when unknown
	Local   bool          // the holder is in this process
	HeldFor time.Duration // how long the holder has had the key; 0 when unknown
	Kind    backends.Kind // what is held
	Out     int           // how many shares, or permits, there were at the last answer; 0 for a lock
	Silent  bool          // the backend gave no answer during the whole wait; then nobody is known to hold
	Err     error         // the last error of the backend, or nil
}

// Why says what an acquire waits for. It is asked before the acquire leaves the
// queue, or instead of queueing it.
func (m *Machine) Why(h *Hold, now Instant) Why {
	w := Why{Waited: now.Sub(h.arrived), Err: m.news.err, Silent: m.silent(h, now)}
	leased := m.hasLease()
	if h.listed == inQueue && !h.Spec.Try {
		w.Place, w.Queue = m.queue.place(h), m.Waiters()
		if !leased {
			w.Process = m.news.place()
		}
	}
	if w.Silent {
		return w
	}
	w.Held = true
	switch held := m.holders.first; {
	case held != nil:
		w.Holder, w.Local, w.HeldFor, w.Kind = m.label(held), true, now.Sub(held.Granted), held.kind
	case !leased && m.news.holder != nil && m.news.holder.label != "":
		w.Holder, w.Kind, w.Out = m.news.holder.label, m.news.holder.kind, m.news.holder.out
		if m.news.holder.known {
			w.HeldFor = now.Sub(m.news.holder.since)
		}
	}
	return w
}

// place returns ours in the backend's queue; 0 if there is none, or it is unknown.
func (n *news) place() int {
	if n.holder == nil {
		return 0
	}
	return n.holder.place
}

// silent reports whether the backend was asked for the key since h came, and has
// not answered. A backend that was not asked is not silent: no poll was due, or
// somebody here has the key.
func (m *Machine) silent(h *Hold, now Instant) bool {
	const hung = 100 * time.Millisecond
	switch {
	case m.cfg.Can.Exclusive && m.holders.len > 0, m.news.answered >= h.arrived:
		return false
	case m.phase.retries().failures > 0:
		return true
	}
	return m.call != nil && (m.news.holder == nil || now.Sub(m.call.Began) > hung)
}

// Info is what is known of a key.
type Info struct {
	Held      bool   // by a caller in this process
	Leased    bool   // by this process, held or lingering
	Revoked   bool   // what is leased was revoked
	Lingers   uint64 // the newest base of a lease that lingers: the key is free to those who ask here; 0: none does
	Holder    string // the label of the hold that is held
	Fence     uint64
	Kind      backends.Kind // of what is held or leased here
	Holds     int           // how many callers hold it here; Holder, Fence and the times are those of the oldest
	Permits   int           // of slots: how many this process has
	HeldFor   time.Duration
	ExpiresIn time.Duration
	Waiters   int
	Place     int // of this process among those that wait at the backend; 0: it doesn't, or unknown
}

// Info returns what is known of the key.
func (m *Machine) Info(now Instant) Info {
	i := Info{Waiters: m.Waiters(), Holds: int(m.holders.len), Leased: m.hasLease(), Revoked: m.leased.revoked}
	if m.leased.kept {
		i.Lingers = m.leased.base
	}
	if m.sharing != nil {
		m.sharing.info(&i)
	}
	if !i.Leased && m.queue.len > 0 {
		i.Place = m.news.place()
	}
	if h := m.holders.first; h != nil {
		i.Held, i.Fence, i.Holder, i.Kind = true, h.Fence, m.label(h), h.kind
		i.HeldFor, i.ExpiresIn = now.Sub(h.Granted), max(h.Deadline.Sub(now), 0)
	}
	return i
}

// hasLease reports whether this process has a lease of the key, or shares.
func (m *Machine) hasLease() bool {
	return m.phase == &m.leased || m.sharing != nil && len(m.sharing.shares) > 0
}

// warn says, early, that a hold will end unless a renewal gets through. c is a
// renewal that failed.
func (l *leased) warn(m *Machine, c *Call) {
	if l.retry.failures == 1 {
		l.failing = c.Began
	}
	var first *Hold
	for h := m.holders.first; h != nil; h = h.next {
		if h.under == l && (h.Spec.Renew || h.short) && !h.revoked && (first == nil || h.Deadline < first.Deadline) {
			first = h
		}
	}
	if first == nil {
		return
	}
	if since := m.now.Sub(l.failing); since >= min(warnAfter, first.Spec.Expires/8) {
		m.emit(Effect{Kind: Warn, Hold: first, Err: c.Err, Since: since})
	}
}

// warnAfter is how long renewals fail before it is worth a warning; for short holds
// an eighth of their length. A blip that the next try mends is no news.
const warnAfter = 250 * time.Millisecond
