package kinds

import (
	"fmt"
	"slices"
)

func (t token) String() string { return fmt.Sprintf("attempt %d of session %d", t.attempt, t.session) }

type phase int

const (
	asking phase = iota
	leased
	settling
)

// An attempt is one acquire of a session, by the contract of package backends: of a lock, or of one share.
type attempt struct {
	token     token
	kind      kind
	phase     phase
	n         int // the largest that it asked with
	permits   int
	ambiguous bool
	base      int64 // its newest
	deadline  int64
	lock      bool  // it is a lock, as far as is known
	to        kind  // it may be a share of this kind, though it was asked for as a lock
	ridden    int64 // since when it carries only holds of another kind
	queued    bool  // it waits, by the newest answer
	contended bool
	since     int64 // when it learned that others wait
	used      bool  // somebody had it
	asked     int64
	renewed   int64
	woken     bool

	turn    int // the rest is for the watch
	void    bool
	ended   bool
	repeats bool
	excused bool
}

// carries is the kind of holds that the attempt carries.
func (a *attempt) carries() kind {
	if a.turned() {
		return a.to
	}
	return a.kind
}

func (a *attempt) turned() bool { return a.to != exclusive }

// A caller is a goroutine: it waits, or has a hold.
type caller struct {
	kind    kind
	n       int
	came    int64
	hold    *hold
	attempt *attempt
}

// A session has at most one attempt that asks, its newest. Beside it there may be any number of shares.
type session struct {
	p          *play
	id         int
	numbered   int
	attempts   []*attempt
	call       *call // in flight
	remembered int64 // until when its attempts end marked
	waiting    []*caller
	holding    []*caller
	inbox      []letter
	ttl        int64
	dead       bool
}

type verb int

const (
	acquiring verb = iota
	renewing
	ending
)

// A call is one request. It is sent once.
type call struct {
	s     *session
	a     *attempt
	verb  verb
	fast  bool
	marks bool
	wish  wish
	form  kind
	ttl   int64
	known int64
	sent  int64
	ran   bool
	reply reply
}

// trusted is how much of a lease its holder believes in.
func trusted(ttl int64) int64 { return ttl * 99 / 100 }

func (s *session) has(r rule) bool { return s.p.store.has(r) }
func (s *session) now() int64      { return s.p.store.real }

// in returns the newest attempt of a phase.
func (s *session) in(ph phase) *attempt {
	for i := len(s.attempts) - 1; i >= 0; i-- {
		if s.attempts[i].phase == ph {
			return s.attempts[i]
		}
	}
	return nil
}

func (s *session) send(c call) {
	c.s, c.sent = s, s.now()
	s.call = &c
}

// begin makes the next attempt.
func (s *session) begin(k kind) *attempt {
	s.numbered++
	a := &attempt{token: token{s.id, s.numbered}, kind: k, lock: k == exclusive}
	s.attempts = append(s.attempts, a)
	s.p.watch.attempts[a.token] = a
	return a
}

// wants is what the callers at the head need who can have the same permits.
func (s *session) wants(k kind) wish {
	w := wish{kind: k, n: 1, want: 1}
	if k != slots || len(s.waiting) == 0 || s.waiting[0].kind != slots {
		return w
	}
	w.n, w.want = s.waiting[0].n, 0
	for _, c := range s.waiting {
		if c.kind != slots || c.n < w.n || w.want == w.n {
			break
		}
		w.want++
	}
	return w
}

func (s *session) ask(a *attempt, fast bool) {
	a.woken, a.asked = false, s.now()
	w := s.wants(a.kind)
	if a.n = max(a.n, w.n); !s.has(limitHighest) {
		a.n = w.n
	}
	s.send(call{a: a, verb: acquiring, fast: fast && s.remembered <= s.now(), wish: w, ttl: s.ttl})
}

// renew also makes a share of a lock, of the kind of its holds, and gives permits back.
func (s *session) renew(a *attempt, ttl int64, turn bool) {
	a.renewed = s.now()
	if turn && !a.turned() {
		s.turns(a)
	}
	if end := s.now() + trusted(ttl); end < a.deadline {
		s.moves(a, end) // it may run and not be answered
	}
	w := wish{kind: exclusive, n: a.n, want: 1}
	if a.carries() == slots {
		w.want = max(1, s.uses(a))
	}
	if turn {
		w.kind = a.to
	}
	if s.has(cutsWhenSent) {
		a.permits = min(a.permits, w.want)
	}
	s.send(call{a: a, verb: renewing, wish: w, ttl: ttl, known: a.base})
}

// turns makes the attempt, a lock, carry shares of the kind of its holds.
func (s *session) turns(a *attempt) {
	a.n, a.permits = 0, max(1, s.uses(a))
	for _, c := range s.holding {
		if c.attempt == a {
			a.to, a.n = c.kind, max(a.n, c.n)
		}
	}
}

// moves moves the deadline of the attempt and its holds.
func (s *session) moves(a *attempt, to int64) {
	a.deadline = to
	for _, c := range s.holding {
		if c.attempt == a {
			c.hold.deadline = to
		}
	}
}

func (s *session) end(a *attempt, fast bool) {
	s.lose(a)
	a.phase = settling
	form := a.carries()
	if a.lock {
		form = exclusive
	}
	marks := a.ambiguous || s.remembered > s.now()
	s.send(call{a: a, verb: ending, fast: fast && !marks, marks: marks, form: form})
}

// lose ends what stands on the attempt.
func (s *session) lose(a *attempt) {
	s.holding = slices.DeleteFunc(s.holding, func(c *caller) bool {
		if c.attempt == a {
			s.p.watch.drops(c.hold)
		}
		return c.attempt == a
	})
}

// unanswered gives the call up. It returns the request, which may come late.
func (s *session) unanswered() *call {
	c := s.call
	s.call, c.a.ambiguous = nil, true
	s.remembered = s.now() + keep
	return c
}

func (s *session) over(a *attempt) {
	a.ended = true
	s.attempts = slices.DeleteFunc(s.attempts, func(o *attempt) bool { return o == a })
}

// run runs a request on the server, in time or late.
func (c *call) run() {
	t := c.a.token
	c.ran = true
	if l := c.s.p.beside; l != nil {
		c.reply = l.runs(c)
	} else {
		c.reply = c.serve()
	}
	if c.s.p.log != nil {
		c.s.p.log("%v: %s %+v by %d: %+v", t, [...]string{"ask", "renew", "end"}[c.verb], c.wish, c.known, c.reply)
	}
}

// serve is what the server does of it.
func (c *call) serve() reply {
	s, t := &c.s.p.store, c.a.token
	switch {
	case c.verb == acquiring && c.fast:
		return s.fastTake(t, c.ttl)
	case c.verb == acquiring:
		return s.ask(t, c.wish, c.ttl, true)
	case c.verb == renewing:
		return s.renew(t, c.ttl, c.known, c.wish)
	case c.fast:
		return s.fastFree(t)
	}
	return s.release(t, c.marks, c.form)
}

func (s *session) answered() {
	c := s.call
	a, r := c.a, c.reply
	s.call = nil
	switch {
	case r.outcome == inFull && c.verb == ending:
		s.end(a, false)
	case r.outcome == inFull:
		s.ask(a, false)
	case c.verb == ending:
		s.over(a)
	case r.outcome == granted, r.outcome == renewed:
		s.took(c, r)
	case r.outcome == held:
		a.queued = true
	case r.outcome == settledBefore:
		s.over(a)
	default:
		s.lose(a)
		a.phase = settling
	}
}

// took takes the answer that the attempt has its lock or share.
func (s *session) took(c *call, r reply) {
	a := c.a
	a.base, a.queued = r.base, false
	if a.phase == settling {
		return
	}
	s.p.watch.goesOn(a, r)
	if r.kind != exclusive {
		a.lock = false
	}
	permits := max(1, r.permits)
	if a.phase == asking || permits < a.permits || !s.has(cutsWhenSent) {
		a.permits = permits // they only go down
	}
	if a.phase == asking {
		s.ousts(a)
		a.phase, a.turn, a.void, a.renewed = leased, r.turn, r.epoch != s.p.watch.epoch, c.sent
	}
	if end := c.sent + trusted(r.ttl); end > a.deadline {
		s.moves(a, end)
	}
	if r.contended && !a.contended {
		a.since = s.now()
	}
	a.contended = r.contended
}

// ousts ends the shares beside which the attempt can't have been granted what it was: they are lost.
func (s *session) ousts(a *attempt) {
	for _, o := range s.attempts {
		if o.phase == leased && (a.kind == exclusive || o.lock || o.carries() != a.kind) && s.has(grantEndsOld) {
			s.lose(o)
			o.phase = settling
		}
	}
}
