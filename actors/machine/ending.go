package machine

import (
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// An ending is an attempt that ends beside others: see settling.
type ending struct {
	settling
	ambiguous bool
	disowned  bool  // a Disowning waits for it
	releasing *Hold // its caller waits for it
}

// end gives a share back, which is over by itself then.
func (s *sharing) end(m *Machine, h *share, by Instant) {
	if h.kept {
		m.keeper.Drop()
	}
	s.shares = slices.DeleteFunc(s.shares, func(o *share) bool { return o == h })
	s.ends = append(s.ends, &ending{
		settling: h.leased.end(by), ambiguous: h.ambiguous, disowned: h.disowned, releasing: h.releasing,
	})
	m.gap.leaseGoes(m.now, m.queue.len == 0)
}

// stopAsking ends the attempt that asks.
func (s *sharing) stopAsking(m *Machine) {
	a := &s.asking
	s.ends = append(s.ends, &ending{settling: a.end(m.now), ambiguous: a.ambiguous})
	s.asking = asking{}
}

// planEnds returns the call that ends the attempt whose turn is next.
func (s *sharing) planEnds(m *Machine, p *plan) *Call {
	for _, e := range s.ends {
		if c := e.plan(m, p); c != nil {
			c.Ambiguous = e.ambiguous
			return c
		}
	}
	return nil
}

// ended takes the answer to the end of an attempt.
func (s *sharing) ended(m *Machine, c *Call) {
	i := slices.IndexFunc(s.ends, func(e *ending) bool { return e.attempt == c.Attempt })
	if i < 0 {
		return // given up
	}
	e := s.ends[i]
	switch e.takes(m, c) {
	case ended:
		m.news.err = nil
		s.over(m, e, e.outcome(c))
	case givenUp:
		s.leaves(m, e, c.Err)
	default:
		e.ambiguous = e.ambiguous || c.unanswered()
	}
	if s.won != nil && len(s.ends) == 0 { // here, so that the lock is offered in this step
		s.takeLock(m)
	}
}

// takeLock makes the lock ours that the attempt which asked was granted.
func (s *sharing) takeLock(m *Machine) {
	if s.asking.ambiguous {
		m.ambiguous = s.asking.attempt
	}
	s.asking.won(m).set(s.won, m.now)
}

// leaves gives up the end of an attempt.
func (s *sharing) leaves(m *Machine, e *ending, err error) {
	if m.closing && e.verb == Releasing {
		m.emit(Effect{Kind: Leak, Err: err})
	}
	s.over(m, e, err)
}

// over tells those who wait for the end of an attempt how it went.
func (s *sharing) over(m *Machine, e *ending, err error) {
	s.ends = slices.DeleteFunc(s.ends, func(o *ending) bool { return o == e })
	m.answerReleaseOf(&e.releasing, err)
	if e.disowned && !s.disowning() {
		m.answerDisownings(err)
	}
}

// disowning reports whether a Disowning waits for the end of something.
func (s *sharing) disowning() bool {
	return slices.ContainsFunc(s.ends, func(e *ending) bool { return e.disowned }) ||
		slices.ContainsFunc(s.shares, func(h *share) bool { return h.disowned })
}

// disown takes the holders off the share that has the base, or off all.
func (s *sharing) disown(m *Machine, d *Disowning) {
	for _, h := range s.shares {
		if !h.kept && (d.Base == 0 || d.Base == h.first || d.Base == h.base) {
			h.disown(m, d)
			h.disowned = true
		}
	}
}

// eachRelease calls f for each place where a release is that waits for an end.
func (s *sharing) eachRelease(f func(**Hold)) {
	for _, h := range s.shares {
		if h.releasing != nil {
			f(&h.releasing)
		}
	}
	for _, e := range s.ends {
		if e.releasing != nil {
			f(&e.releasing)
		}
	}
}

// expire answers the releases that have waited long enough.
func (s *sharing) expire(m *Machine) {
	s.eachRelease(func(h **Hold) {
		if m.now >= (*h).until {
			m.answerReleaseOf(h, m.releaseGoesOn())
		}
	})
}

// stopTrying gives up the ends that have failed: Close has waited for long enough.
func (s *sharing) stopTrying(m *Machine) {
	for _, e := range slices.Clone(s.ends) {
		if e.retry.failures > 0 {
			s.leaves(m, e, m.complaint())
		}
	}
}

// abandon ends everything after a panic, which has told those that wait or hold.
func (s *sharing) abandon(m *Machine) {
	if c := m.call; c != nil {
		s.unanswered(c.Attempt)
	}
	for _, h := range slices.Clone(s.shares) {
		s.end(m, h, max(h.ends, m.now))
	}
	if s.asking.attempt != 0 {
		s.stopAsking(m)
	}
	if s.won != nil {
		s.ends[len(s.ends)-1].verb, s.won = Releasing, nil
	}
	for _, e := range s.ends {
		m.answerReleaseOf(&e.releasing, m.news.err)
		e.disowned = false
	}
}

// unanswered notes that a request of the attempt will find nobody who takes its answer.
func (s *sharing) unanswered(attempt uint64) {
	for _, h := range s.shares {
		h.ambiguous = h.ambiguous || h.attempt == attempt
	}
	for _, e := range s.ends {
		e.ambiguous = e.ambiguous || e.attempt == attempt
	}
	s.asking.ambiguous = s.asking.ambiguous || s.asking.attempt == attempt
}

// triesAgain ends all pauses after failures: the backend may be well again.
func (s *sharing) triesAgain() {
	for _, h := range s.shares {
		h.retry.end()
	}
	for _, e := range s.ends {
		e.retry.end()
	}
}

// pauses has no end be tried before.
func (s *sharing) pauses(until Instant) {
	for _, e := range s.ends {
		e.retry.at = until
	}
}

// wanted notes that others wait, for all shares: a push names the key alone.
func (s *sharing) wanted(m *Machine) {
	for _, h := range s.shares {
		h.note(true, m.now)
	}
	if s.won != nil {
		s.won.Reply.Contended = true
	}
}

// doubt has all shares proved before the next grant, and the one that is asked for.
func (s *sharing) doubt(m *Machine) {
	s.asking.doubted = m.now
	for _, h := range s.shares {
		h.doubted, h.retry.at = m.now, 0
	}
}

func (s *sharing) lingersNoMore() {
	for _, h := range s.shares {
		h.linger = 0
	}
}

// keep is Machine.keep for shares. The keeper knows of one that is alone: beside others it could not free the key.
func (s *sharing) keep(m *Machine) {
	s.skipGap(m)
	for _, h := range s.shares {
		if h.uses == 0 {
			s.keepOne(m, h)
		}
	}
}

func (s *sharing) keepOne(m *Machine, h *share) {
	alone := len(s.shares) == 1
	switch {
	case m.queue.len > 0:
		if h.kept {
			h.kept = false
			h.gone = !m.keeper.Resume(h.attempt)
		}
	case !h.lingers(m):
		// It goes back: see sweep.
	case h.kept, !alone, m.keeper.Keep(h.attempt):
		h.kept = alone
		if h.releasing != nil {
			h.releasing.Lingers = true
		}
		m.answerReleaseOf(&h.releasing, nil)
	default:
		h.linger = 0
	}
}

// budget bounds a call: while it is in flight no share can be renewed, and so none of the holds that wait for that.
func (s *sharing) budget(m *Machine, c *Call) time.Duration {
	end := m.now.Add(time.Hour)
	for h := m.holders.first; h != nil; h = h.next {
		if h.Spec.Renew || h.short {
			end = min(end, h.Deadline)
		}
	}
	for x := m.extensions; x != nil; x = x.next {
		end = min(end, x.Hold.Deadline)
	}
	for _, h := range s.shares {
		if c.Verb == Renewing && c.Attempt == h.attempt {
			end = min(end, h.deadline)
		}
	}
	return m.budgetUntil(end)
}

// skipGap ends a gap for pollers that no share ended for: a long hold must not keep others here from joining.
func (s *sharing) skipGap(m *Machine) {
	if g := m.gap; g.due(m.now.Add(-m.cfg.PollerGap)) {
		g.at = m.nextGap()
	}
}

// info tells of the shares.
func (s *sharing) info(i *Info) {
	i.Revoked = len(s.shares) > 0
	for _, h := range s.shares {
		i.Kind = h.kind
		i.Revoked = i.Revoked && h.revoked
		if h.kind == backends.Slots {
			i.Permits += int(h.permits)
		}
		if h.kept {
			i.Lingers = h.base
		}
	}
}
