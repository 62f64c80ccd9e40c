package machine

import (
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// asking is the phase in which this process has an attempt at the backend, which was
// answered "held", or never answered. Repeated, it keeps its number.
type asking struct {
	attempt uint64        // 0: the last one left nothing behind, and the next has yet to begin
	kind    backends.Kind // that the attempt asks for
	n       int32         // of slots: the largest that it said
	number  uint64        // of the newest call, or its repetition, if that was queued: see gave; 0: it was not
	alive   time.Duration // for how long that keeps its place; 0: it has none
	sent    Instant       // when that was sent
	ttl     time.Duration // the longest that it asked for
	probe   int32         // how often it was answered Held
	traces  bool          // it may be in the backend's queue, or a request of it on its way
	woken   bool          // ask at once
	doubted Instant       // a lease that was asked for before has to be proved
	retry   retry

	ambiguous bool // beside shares: a request of the attempt was sent and never answered
}

func (s *asking) retries() *retry { return &s.retry }

func (s *asking) plan(m *Machine, p *plan) *Call {
	if m.queue.len == 0 || m.closing {
		return s.giveUp(m, p)
	}
	if in, c := m.inGap(p); in {
		return c
	}
	if s.asksInVain(m) {
		return s.giveUp(m, p) // and the next attempt begins
	}
	if !s.woken && !p.from(s.retry.at) {
		return nil
	}
	c := s.ask(m)
	if c == nil {
		m.enter(&m.free)
	}
	return c
}

// asksInVain reports whether the first in line wants another kind than the attempt asks for.
func (s *asking) asksInVain(m *Machine) bool {
	return s.attempt != 0 && s.kind != m.asksFor().kind
}

// giveUp ends the attempt: nobody here waits for it any more.
func (s *asking) giveUp(m *Machine, p *plan) *Call {
	if s.attempt == 0 {
		pause := s.retry
		m.enter(&m.free)
		m.free.retry = pause
		return m.free.plan(m, p)
	}
	m.settle(s.end(m.now))
	return m.settling.plan(m, p)
}

// end is what it takes to end the attempt: it may have the key for so long, or keep its place.
func (s *asking) end(now Instant) settling {
	return settling{attempt: s.attempt, kind: s.kind, verb: Cancelling, until: now.Add(max(s.ttl, s.alive))}
}

// errUsedUp ends a client that has made 10¹² attempts, which takes 77 days at
// 150 000 a second: the wire format has no number for the next.
var errUsedUp = fmt.Errorf("%w: this client's attempts are used up, open another", backends.ErrUnavailable)

// ask repeats the attempt, or begins one; nil: it can't.
func (s *asking) ask(m *Machine) *Call {
	s.woken = false
	first := m.asksFor()
	if s.attempt == 0 {
		n := m.cfg.NextAttempt()
		if n == 0 {
			m.failQueue(errUsedUp)
			return nil
		}
		s.attempt, s.kind, s.n, s.ttl, s.probe, s.traces, s.ambiguous = n, first.kind, 0, 0, 0, false, false
		m.news.holder = nil
	}
	head := &first.Spec
	ttl := ttlFor(head.lasts() + m.spare(head.lasts()))
	s.ttl = max(s.ttl, ttl)
	c := &Call{
		Verb: Acquiring, Attempt: s.attempt, Kind: s.kind, TTL: ttl,
		Owner: m.label(first), Queue: !head.Try, Probe: int(s.probe), AtLeast: head.sure(),
	}
	if c.Queue {
		c.Ask, c.Alive = m.cfg.NextAsk(), aliveFor
	}
	if s.kind == backends.Slots {
		c.N, c.Want = m.wants()
		s.n = max(s.n, c.N)
	}
	return c
}

// aliveFor is how long a call that is queued keeps its place: it is repeated each 300 ms.
const aliveFor = time.Second

func (s *asking) answered(m *Machine, c *Call) {
	s.said(c.Ask, c.Alive, c.Sent)
	switch {
	case c.Err == nil && c.Reply.Outcome == backends.Granted && s.kind == backends.Exclusive:
		s.won(m).set(c, m.now)
	case c.Err == nil && c.Reply.Outcome == backends.Granted:
		m.share(c)
	default:
		s.notGranted(m, c)
	}
}

// notGranted takes any answer but a grant.
func (s *asking) notGranted(m *Machine, c *Call) {
	if c.Err == nil && c.Reply.Outcome == backends.Held {
		s.held(m, c)
		return
	}
	if c.Err == nil {
		c.Err = fmt.Errorf("%w: outcome %v without an error", backends.ErrUnavailable, c.Reply.Outcome)
	}
	s.failed(m, c)
}

// said remembers what a call of the attempt said, or its repetition, if that is the newest by when it was sent: a
// repetition may overtake a call's answer.
func (s *asking) said(number uint64, alive time.Duration, sent Instant) {
	if sent >= s.sent {
		s.number, s.alive, s.sent = number, alive, sent
	}
}

// won makes the attempt's lease ours, which the caller has to fill in.
func (s *asking) won(m *Machine) *lease {
	m.news.answered, m.news.err, m.news.holder = m.now, nil, nil
	was := *s
	m.enter(&m.leased)
	m.leased.attempt, m.leased.doubted = was.attempt, was.doubted
	// An earlier request of the attempt that was not answered may be on its way yet,
	// and ask for longer. Until that time is over, too, the attempt has to be settled.
	m.leased.ends = m.now.Add(was.ttl)
	return &m.leased.lease
}

func (s *asking) held(m *Machine, c *Call) {
	r := &c.Reply
	m.news.answered, m.news.err = m.now, nil
	m.news.holder = &other{label: r.Holder, place: r.Place, since: m.now.Add(-r.HeldFor), known: r.HeldFor > 0, kind: r.Kind, out: r.Out}
	s.probe++
	s.retry = retry{at: m.now.Add(max(r.Retry, time.Millisecond))}
	if s.traces = s.traces || c.Queue; !s.traces {
		s.attempt, s.retry.at = 0, 0 // the next asks for itself
	}
	m.failTries(c)
}

func (s *asking) failed(m *Machine, c *Call) {
	s.retry.failed(c, m.now)
	s.traces = s.traces || c.Reply.Outcome != backends.NotRun
	if errors.Is(c.Err, backends.ErrSettled) {
		s.attempt, s.number = 0, 0
	}
	if backends.IsRefused(c.Err) {
		m.failQueue(c.Err)
		return
	}
	m.failTries(c)
}
