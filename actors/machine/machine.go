package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// Patience bounds one backend call, a release that somebody waits for, and the one
	// try of an acquire that won't wait.
	Patience = 2 * time.Second
	// MaxN is the highest number a fence counts up to under one base.
	MaxN = 1<<10 - 1
)

// A Config is what the machines of a coordinator have in common.
type Config struct {
	Can        backends.Capabilities
	Owner      string // the label shown to others, unless a Spec has its own
	Tenure     time.Duration
	Linger     time.Duration
	PollerGap  time.Duration
	NoHandoff  bool
	MaxWaiters int
	Epoch      int64 // the wall clock at Instant 0, in ns since 1970

	// LingerAgain keeps no lease of a key's first hold: most keys of a process that has
	// very many are used once.
	LingerAgain bool

	// NextAttempt numbers the attempts, upwards over all keys. 0: they are used up.
	NextAttempt func() uint64
	// NextAsk draws the number of a call that is queued, by chance from 1 to backends.MaxAsk.
	NextAsk func() uint64
}

// A Machine is the state of one key in one process.
type Machine struct {
	cfg    *Config // immutable
	keeper Keeper  // immutable

	now     Instant  // of the step under way
	effects []Effect // of the step under way

	queue   queue
	holders holds // at most one where the backend excludes
	offered *Hold // Taken or Withdrawn is awaited

	phase     phase // one of the next five; the others are zero
	free      free
	asking    asking
	leased    leased
	settling  settling
	sharing   *sharing // most keys never have shares
	call      *Call    // the phase's, in flight; a phase ends only when there is none
	ambiguous uint64   // the newest attempt of which a request was sent and never answered
	planned   plan     // of the step under way; here so that it costs no allocation

	releasing  *Hold      // its caller waits for what becomes of the key
	extensions *Extension // the first of those that are unanswered
	disownings *Disowning // the first of those that are unanswered

	news    news
	gap     *gap    // for pollers; nil if none are asked for
	rest    rest    // nobody here may ask for the key before it is over
	closeBy Instant // closing: when to give up what the backend doesn't answer

	stepping bool // a step is under way, or was until it panicked
	used     bool // a hold was released before
	closing  bool
}

// news is what the backend last said, for those who ask why they wait.
type news struct {
	err      error   // its newest complaint; nil after a success
	answered Instant // when it last said whose the key is
	unheard  Instant // when the first of the calls began that it has not answered since; 0: none
	holder   *other  // the key's, when the newest attempt last asked; nil: none, or unknown
}

// other is what the backend said of the process that has the key.
type other struct {
	label string
	since Instant
	known bool // since is
	place int  // ours in the backend's queue; 0 if not queued
	kind  backends.Kind
	out   int // of shares: how many, or how many permits
}

// New returns the machine of a key that nobody wants.
func New(cfg *Config, k Keeper) *Machine {
	m := new(Machine)
	m.Init(cfg, k)
	return m
}

// Init makes m the machine of a key that nobody wants. m must not be copied.
func (m *Machine) Init(cfg *Config, k Keeper) {
	m.cfg, m.keeper = cfg, k
	m.queue.name, m.holders.name = inQueue, inHolders
	m.phase = &m.free
	if cfg.PollerGap > 0 {
		m.gap = new(gap)
	}
}

// Step takes one event at an instant that is never before the last step's. It returns
// what to do about it, in that order, and when to look again (by a Tick) if no event
// comes before; 0 is never. into is where the effects go; it may be used again for
// the next step.
func (m *Machine) Step(e Event, now Instant, into []Effect) (effects []Effect, look Instant) {
	m.now = now
	if p, ok := e.(Panicked); ok {
		if !m.stepping { // else m has the effects of the step's first half
			m.effects = into[:0]
		}
		look = m.panicked(p)
	} else {
		m.effects, m.stepping = into[:0], true
		if m.offered != nil {
			m.takeReply(e) // at the same instant: nothing else can have ended since the offer
		} else {
			m.take(e)
			m.expire()
		}
		look = m.advance()
	}
	effects, m.effects, m.stepping = m.effects, nil, false
	return effects, look
}

// take changes the state as the event says. What follows from that is advance's.
func (m *Machine) take(e Event) {
	switch e := e.(type) {
	case Arrive:
		m.arrive(e.Hold)
	case Leave:
		if e.listed == inQueue {
			m.queue.drop(e.Hold)
		}
	case Release:
		m.release(e.Hold)
	case Extend:
		m.extend(e.Extension)
	case Downgrade:
		m.downgrade(e.Extension)
	case Watch:
		m.watch(e.Hold)
	case Disown:
		m.disown(e.Disowning)
	case Answered:
		m.answered(e.Call)
	case Woken:
		m.woken(e.Kind)
	case Gave:
		m.gave(e)
	case Repeated:
		m.repeated(e)
	case Tick:
	case Close:
		m.close(e.By)
	default:
		panic("machine: no such event, or not now")
	}
}

// takeReply takes the answer to an offer. A hold that its caller has given up by
// then was never granted.
func (m *Machine) takeReply(e Event) {
	h := m.offered
	m.offered = nil
	switch e.(type) {
	case Taken:
		h.under.handedTo(h)
		m.beginRest(h)
		if s := h.under.share; s != nil {
			s.carries(h)
			m.answerReleaseOf(&s.releasing, nil)
		} else if m.holders.len == 0 {
			m.leased.rides(h, m.now)
		}
		m.holders.push(h)
		m.answerRelease(nil)
	case Withdrawn:
	default:
		panic("machine: an offer is open")
	}
}

// advance brings the key from where an event left it to where it can be, and returns
// when to look again.
func (m *Machine) advance() Instant {
	m.keep()
	m.denest()
	if m.offer() {
		return 0
	}
	if m.busy() {
		m.rejectTries()
	}
	m.answerWatches()
	look := m.plan()
	if m.call == nil && m.rejectTries() {
		look = m.plan()
	}
	return look
}

// offer offers the key to the waiter whose turn it is: to one where the backend
// excludes, to all, one after the other, where it does not.
func (m *Machine) offer() bool {
	h := m.queue.first
	if h == nil || m.closing {
		return false
	}
	l := m.carrier(h)
	if l == nil {
		return false
	}
	m.queue.drop(h)
	h.grantedAt(m.now, l)
	m.offered = h
	m.emit(Effect{Kind: Offer, Hold: h})
	return true
}

// carrier returns the lease by which h may have the key now; nil if there is none.
func (m *Machine) carrier(h *Hold) *leased {
	switch l := &m.leased; {
	case m.sharing != nil:
		return m.sharing.carrier(m, h)
	case m.phase == l && (!m.cfg.Can.Exclusive || m.holders.len == 0 || m.mayRide(h)) && l.grants(m, h):
		return l
	}
	return nil
}

// busy reports whether somebody here holds the key, and nobody else can.
func (m *Machine) busy() bool {
	return m.cfg.Can.Exclusive && m.holders.len > 0 && m.sharing == nil && m.leased.ridden == 0
}

// enter makes p, one of m's own four, the phase. The one that ends leaves nothing: a
// method of it that goes on has to copy before what it needs.
func (m *Machine) enter(p phase) {
	if m.leased.kept {
		m.keeper.Drop()
	}
	m.free, m.asking, m.leased, m.settling, m.sharing = free{}, asking{}, leased{}, settling{}, nil
	m.phase = p
}

func (m *Machine) emit(e Effect) { m.effects = append(m.effects, e) }

// answered takes the result of a call.
func (m *Machine) answered(c *Call) {
	if c != m.call {
		if c.Verb == Acquiring { // forgotten by a panic
			m.emit(Effect{Kind: Undo, Call: c})
		}
		return
	}
	// A hold that is over stays over, even if a renewal succeeded: its holder may
	// have seen the end already. Callers who wait for the result get it although it
	// was late: to a process that had no CPU for a while, everything is late.
	m.expireHolds()
	m.call = nil
	if c.unanswered() {
		m.ambiguous = c.Attempt
	}
	c.Reply.Contended = c.Reply.Contended || c.wanted
	if c.Err != nil {
		m.news.err = c.Err
	}
	switch {
	case c.Err == nil, backends.IsNotHeld(c.Err), backends.IsRevoked(c.Err):
		m.news.unheard = 0
	case m.news.unheard == 0:
		m.news.unheard = c.Began
	}
	m.phase.answered(m, c)
}

// Idle reports whether nothing is held, wanted or under way: the machine may be
// forgotten.
func (m *Machine) Idle() bool {
	return m.phase == &m.free && m.queue.len == 0 && m.holders.len == 0 && m.call == nil && m.releasing == nil &&
		m.disownings == nil && m.offered == nil && (m.rest.least == 0 || m.closing)
}

// Closing reports whether Close has come.
func (m *Machine) Closing() bool { return m.closing }

// Waiters returns how many wait.
func (m *Machine) Waiters() int { return int(m.queue.len) }
