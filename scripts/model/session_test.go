package model

import (
	"fmt"
	"strconv"

	"github.com/turnstile-go/turnstile/scripts"
)

func (t token) String() string { return fmt.Sprintf("attempt %d of session %d", t.attempt, t.session) }

type phase int

const (
	asking phase = iota
	leased
	settling
	ended
)

// An attempt is one acquire of a session, by the contract of package backends.
type attempt struct {
	token     token
	phase     phase
	wait      bool
	ttl       int64 // the longest that it asked for
	until     int64 // when the lease that it last asked for ends, in real time
	known     int64 // its newest base
	hold      *hold
	ambiguous bool // a request was sent and never answered
	traces    bool // it may be in the queue
	full      bool // answered "ask in full"
	refused   bool // its end was

	ended      bool // for good, as its session knows
	superseded bool // given up, and a later one of its session ended for good
	excused    bool // its mark was lost
}

// A session has one attempt on the key at a time.
type session struct {
	p          *play
	id         int
	numbered   int
	attempt    *attempt // nil: idle
	call       *call    // in flight
	remembered int64    // until when, in real time, attempts on this key end in full, marked
	allKeys    int64    // the same, for each key
	lives      int64    // what its next ask says: how long it counts as alive
	asks       int64    // how many there were
}

type verb int

const (
	acquiring verb = iota
	renewing
	ending
)

// A call is one request. It is sent once.
type call struct {
	session *session
	attempt *attempt
	verb    verb
	fast    bool
	marks   bool
	lives   int64
	ask     int64
	ttl     int64
	known   int64
	sent    int64
	ran     bool
	epoch   int // when it ran
	reply   reply
}

func (s *session) send(c call) {
	c.session, c.attempt, c.sent = s, s.attempt, s.p.store.real
	s.call = &c
}

// begin makes the next attempt.
func (s *session) begin(ttl int64, wait, fast bool) {
	s.numbered++
	s.attempt = &attempt{token: token{s.id, s.numbered}, wait: wait, full: !fast}
	s.p.watch.attempts[s.attempt.token] = s.attempt
	s.ask(ttl)
}

func (s *session) ask(ttl int64) {
	a := s.attempt
	a.ttl = max(a.ttl, ttl)
	a.until = s.p.store.real + ttl
	s.asks++
	s.send(call{verb: acquiring, fast: !a.full, ttl: ttl, lives: s.lives, ask: s.asks})
}

// renew of a shorter ttl ends the hold with that, answered or not.
func (s *session) renew(ttl int64) {
	a := s.attempt
	a.ttl = max(a.ttl, ttl)
	a.until = s.p.store.real + ttl
	if h := a.hold; h != nil {
		h.deadline = min(h.deadline, s.p.store.real+trusted(ttl))
	}
	s.send(call{verb: renewing, ttl: ttl, known: a.known})
}

// trusted is how much of a lease its holder believes in.
func trusted(ttl int64) int64 { return ttl * 99 / 100 }

// end releases or cancels: on the fast path only if no copy of a request can be on its way, and the lease has not long
// to go.
func (s *session) end(fast bool) {
	a := s.attempt
	s.lose()
	a.phase = settling
	marks := a.ambiguous || s.remembers()
	long := a.until > s.p.store.real+2*keep && s.p.store.has(longInFull)
	s.send(call{verb: ending, fast: fast && a.known != 0 && !marks && !long, marks: marks})
}

func (s *session) remembers() bool {
	return s.p.store.has(sessionMemory) && max(s.remembered, s.allKeys) > s.p.store.real
}

// lose ends the hold: it is released, lost or over.
func (s *session) lose() {
	if h := s.attempt.hold; h != nil {
		s.p.watch.drops(h)
		s.attempt.hold = nil
	}
}

// unanswered gives the call up. Returns the request, which may come late.
func (s *session) unanswered() *call {
	c := s.call
	s.call, s.attempt.ambiguous = nil, true
	s.attempt.traces = true
	s.remembered = s.p.store.real + keep
	return c
}

// over ends the attempt for good, and with it those before it that were given up.
func (s *session) over() {
	s.attempt.ended = true
	for _, a := range s.p.watch.attempts {
		a.superseded = a.superseded || a.token.session == s.id && !a.ended
	}
	s.giveUp()
}

// giveUp ends an attempt that could not be settled.
func (s *session) giveUp() {
	if s.attempt.refused {
		s.remembered = s.p.store.real + keep
	}
	s.attempt.phase, s.attempt = ended, nil
}

// retire ends the key's actor: the memory is the session's.
func (s *session) retire() {
	if !s.p.store.has(memoryOutlives) {
		s.remembered = 0
	}
}

// overflow throws the key's entry out of the bounded memory.
func (s *session) overflow() {
	if s.p.store.has(memoryFailsSafe) {
		s.allKeys = max(s.allKeys, s.remembered)
	}
	s.remembered = 0
}

// answered takes the reply of the call in flight. Another attempt's is no answer.
func (s *session) answered(r reply) {
	if r.attempt != s.attempt.token.attempt && s.p.store.has(replyNumbers) {
		s.unanswered()
		return
	}
	c, a := s.call, s.attempt
	s.call = nil
	switch {
	case r.outcome == inFull:
		a.full = true
		if c.verb == ending {
			s.end(false)
		} else {
			s.ask(c.ttl)
		}
	case c.verb == acquiring:
		s.asked(c, r)
	case c.verb == ending && r.outcome == refused:
		a.refused = true // tries again, or gives up
	case c.verb == ending:
		s.over()
	case r.outcome == renewed:
		a.known = r.base
		if a.hold != nil {
			a.hold.deadline = max(a.hold.deadline, c.sent+trusted(r.ttl))
		}
	default:
		s.lose()
		a.phase = settling
	}
}

func (s *session) asked(c *call, r reply) {
	a := s.attempt
	switch r.outcome {
	case granted:
		a.phase, a.known = leased, r.base
		if deadline := c.sent + trusted(r.ttl); deadline > s.p.store.real {
			a.hold = &hold{name: a.token.String(), token: a.token, deadline: deadline, void: c.epoch != s.p.watch.epoch}
			s.p.watch.begins(&s.p.store, a.hold)
		}
	case held:
		if a.traces = a.traces || a.wait; !a.traces {
			a.ended = true
			s.giveUp()
		}
	case refused:
		if a.phase = settling; !a.traces {
			a.ended = true
			s.giveUp()
		}
	default: // settled before
		a.ended = true
		s.giveUp()
	}
}

// run runs a request on the server, in time or late.
func (c *call) run() reply {
	c.epoch = c.session.p.watch.epoch
	if l := c.session.p.beside; l != nil {
		script, args := c.script()
		return l.runs(&c.session.p.store, script, args, c.runs)
	}
	return c.runs()
}

func (c *call) runs() reply {
	s, t := &c.session.p.store, c.attempt.token
	switch {
	case c.verb == acquiring && c.fast:
		return fast(item{s, t, c.ttl})[0]
	case c.verb == acquiring:
		return s.acquire(t, c.ttl, c.attempt.wait, c.lives, c.ask)
	case c.verb == renewing:
		return s.renew(t, c.ttl, c.known)
	case c.fast:
		return fast(item{s, t, 0})[0]
	}
	return s.release(t, c.marks)
}

// script is the request as a server gets it.
func (c *call) script() (*scripts.Script, []string) {
	wire, ttl, mark := stamped+wire(c.attempt.token), strconv.FormatInt(c.ttl, 10), "0"
	if c.marks {
		mark = "1"
	}
	switch {
	case c.verb == acquiring && c.fast:
		return scripts.Fast, []string{"0", wire, ttl, "label"}
	case c.verb == acquiring:
		wait := "0"
		if c.attempt.wait {
			wait = "1"
		}
		return scripts.Acquire, []string{wire, ttl, "label", wait, strconv.FormatInt(c.ask, 10), strconv.FormatInt(c.lives, 10), "1"}
	case c.verb == renewing:
		return scripts.Renew, []string{wire, ttl, column(c.known)[1:]}
	case c.fast:
		return scripts.Fast, []string{"1", wire}
	case c.attempt.known != 0:
		return scripts.Release, []string{wire, mark, "1"}
	}
	return scripts.Cancel, []string{wire, mark, "1"}
}
