package push

import "fmt"

func (t token) String() string { return fmt.Sprintf("attempt %d of session %d", t.attempt, t.session) }

// proof is how long an answer proves a lease where servers replace each other.
const proof = 500 * millisecond

type phase int

const (
	asking phase = iota
	leased
	settling
)

// An ask is one acquire that was sent.
type ask struct {
	number int64
	index  int64 // which of its attempt's asks
	sent   int64 // by the session's clock
	score  int64 // answered "held": when it ran, ms
}

type attempt struct {
	token token
	phase phase
	plain bool // its caller shows the deadline to nobody
	asks  []ask
	woken bool
	base  int64 // the newest that the session knows
	hold  *hold

	granted int   // how often, for the watch
	told    int64 // up to which base it was told that another has the lock
}

// A session is one client's life, with one attempt on the key at a time.
type session struct {
	p        *play
	id       int
	fast     int64 // by how many thousandths its clock is fast
	hears    bool
	plain    bool  // of its next attempt
	length   int64 // of the leases that it is given: by the number of its keys
	numbered int
	attempt  *attempt
	asks     map[int64]ask // of all attempts, by number, for a session that does not look which attempt it is
	call     *call
	beat     *call // a heartbeat, which goes beside the call: those of many keys travel together
	ended    int   // the newest attempt that has ended for good
	inbox    []push
}

func (s *session) has(r rule) bool { return s.p.without != r }

// clock runs by itself: it has its own zero and rate.
func (s *session) clock() int64 { return s.p.real*(1000+s.fast)/1000 + int64(s.id)*second }

// real is when the session's clock will say at.
func (s *session) real(at int64) int64 { return s.p.real + (at-s.clock())*1000/(1000+s.fast) }

func (s *session) trusts(length int64) int64 {
	if !s.has(margin) {
		return length
	}
	return length - min(length/100+50*millisecond, length/10)
}

type verb int

const (
	acquiring verb = iota
	renewing
	ending
	beating
)

// A call is one request. It is sent once.
type call struct {
	s        *session
	attempt  *attempt
	verb     verb
	waiter   waiter
	aliveFor int64
	ttl      int64
	known    int64
	sent     int64 // by the session's clock
	sentReal int64
	ran      bool
	gone     bool // its server was replaced first
	reply    reply
}

func (c *call) run() {
	s := &c.s.p.server
	c.ran = true
	switch c.verb {
	case acquiring:
		c.reply = s.acquire(c.waiter, c.ttl, c.aliveFor)
	case renewing:
		c.reply = s.renew(c.attempt.token, c.ttl, c.known)
	case ending:
		c.reply = s.finish(c.attempt.token)
	case beating:
		c.reply = s.beat(c.waiter, c.aliveFor)
	}
}

func (s *session) send(c call) { s.call = s.sends(c) }

func (s *session) sends(c call) *call {
	c.s, c.attempt, c.sent, c.sentReal = s, s.attempt, s.clock(), s.p.real
	return &c
}

func (s *session) begin(ttl int64) {
	s.numbered++
	s.attempt = &attempt{token: token{s.id, s.numbered}, plain: s.plain}
	s.ask(ttl)
}

func (s *session) ask(ttl int64) {
	s.attempt.woken = false
	s.send(call{verb: acquiring, waiter: s.waits(), ttl: ttl, aliveFor: s.length})
}

func (s *session) heartbeat() {
	s.beat = s.sends(call{verb: beating, waiter: s.waits(), aliveFor: s.length})
}

// waits numbers an ask.
func (s *session) waits() waiter {
	a := s.attempt
	s.p.numbers++
	q := ask{number: s.p.numbers + 1_000_000, index: int64(len(a.asks) + 1), sent: s.clock()}
	if !s.has(unguessable) {
		q.number = q.index
	}
	a.asks = append(a.asks, q)
	if s.asks == nil {
		s.asks = map[int64]ask{}
	}
	s.asks[q.number] = q
	length := s.length
	if !s.has(coversPace) {
		length = direct
	}
	return waiter{token: a.token, number: q.number, hears: s.hears, length: length}
}

// confirm confirms the lease of a push, or renews. If it asks for less than is left, the server may have shortened
// the lease though the answer is lost.
func (s *session) confirm(ttl int64) {
	a := s.attempt
	if s.has(cutsWhenSent) && a.hold != nil {
		a.hold.deadline = min(a.hold.deadline, s.clock()+s.trusts(ttl))
	}
	s.send(call{verb: renewing, ttl: ttl, known: a.base})
}

func (s *session) end() {
	s.lose()
	s.attempt.phase = settling
	s.send(call{verb: ending})
}

func (s *session) lose() {
	if h := s.attempt.hold; h != nil {
		s.p.watch.drops(h)
		s.attempt.hold = nil
	}
}

// unanswered gives the call up. Returns it, as it may arrive late.
func (s *session) unanswered() *call {
	c := s.call
	s.call = nil
	if c.verb == renewing && !s.has(silenceEnds) {
		s.confirmed(c, reply{outcome: renewed, base: c.known, length: c.ttl, origin: s.p.watch.origin})
	}
	return c
}

func (s *session) answered() {
	c := s.call
	a, r := c.attempt, c.reply
	s.call = nil
	if a != s.attempt {
		return
	}
	switch {
	case c.verb == ending:
		s.attempt, s.ended = nil, a.token.attempt
	case a.phase == leased && c.verb == acquiring:
		s.crossed(c, r)
	case c.verb == acquiring:
		s.asked(c, r)
	case r.outcome == renewed:
		s.confirmed(c, r)
	case r.outcome == isRevoked || s.has(otherEnds):
		s.lose()
		a.phase = settling
	default:
		s.p.watch.told(a.hold)
	}
}

// crossed takes the answer to an ask by a session that was granted by a push meanwhile.
func (s *session) crossed(c *call, r reply) {
	if r.outcome == granted {
		s.grant(c.sent, r.base, r.length, r.origin)
		return
	}
	s.p.watch.spared(s.attempt.hold)
	s.lose()
	s.attempt.phase = settling
}

func (s *session) asked(c *call, r reply) {
	a := s.attempt
	switch r.outcome {
	case granted:
		a.phase = leased
		if s.p.failsOver && s.clock()-c.sent > proof || s.clock() >= c.sent+s.trusts(r.length) {
			a.phase = settling
			return
		}
		s.grant(c.sent, r.base, r.length, r.origin)
	case held:
		s.isHeld(c, r)
		a.woken = a.woken && s.has(wokenStays)
	default:
		s.attempt = nil
	}
}

// isHeld takes the answer that another has the lock.
func (s *session) isHeld(c *call, r reply) {
	a := s.attempt
	a.told = max(a.told, r.told)
	for i := range a.asks {
		if a.asks[i].number != c.waiter.number {
			continue
		}
		a.asks[i].score = r.score
		if !s.has(countsFromSent) {
			a.asks[i].sent = s.clock()
		}
	}
}

// beaten takes the answer to a heartbeat.
func (s *session) beaten() {
	c := s.beat
	switch s.beat = nil; {
	case c.attempt != s.attempt || s.attempt.phase != asking:
	case c.reply.outcome == held:
		s.isHeld(c, c.reply)
	default:
		s.attempt.woken = true // it was given the lock, or was away for too long
	}
}

func (s *session) grant(sent, base, length int64, from origin) {
	a := s.attempt
	a.phase, a.base = leased, base
	a.hold = &hold{s: s, token: a.token, base: base, deadline: sent + s.trusts(length), origin: from}
	s.p.watch.begins(a.hold)
}

func (s *session) confirmed(c *call, r reply) {
	a := s.attempt
	a.base = r.base
	if a.hold == nil || s.clock() >= a.hold.deadline {
		s.lose() // a hold that is over stays over
		a.phase = settling
		return
	}
	from := c.sent
	if !s.has(prolongsFromSent) {
		from = s.clock()
	}
	a.hold.deadline = max(a.hold.deadline, from+s.trusts(r.length))
	s.p.watch.prolongs(a.hold, r)
}
