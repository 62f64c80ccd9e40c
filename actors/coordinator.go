package actors

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/logqueue"
)

// Config is how a coordinator behaves. lockclient documents the public fields.
type Config struct {
	Prefix     string // put before every key on its way to the backend
	Owner      string // the label shown to others
	Tenure     time.Duration
	Linger     time.Duration // 0: DefaultLinger over a backend that reclaims, else none; NoLinger
	PollerGap  time.Duration
	NoHandoff  bool
	MaxWaiters int
	Logger     *slog.Logger

	// IdleAfter is how long an actor stays with nothing to do (default 1 s):
	// long enough that a goroutine in a loop meets the same actor again, short
	// enough that a million keys used once are soon gone.
	IdleAfter time.Duration
}

// What a Config that leaves these at zero gets.
const (
	DefaultTenure     = 20 * time.Millisecond
	DefaultMaxWaiters = 10_000
	defaultIdleAfter  = time.Second
)

const (
	// callTimeout bounds one backend call, a release that somebody waits for,
	// and the one try of an acquire that won't wait.
	callTimeout = machine.Patience
)

// A Coordinator is the directory of the key actors of one process, over one
// backend.
type Coordinator struct {
	// Immutable.
	cfg        Config
	backend    backends.Backend
	can        backends.Capabilities
	starter    backends.Starter // the backend, if it is one
	session    backends.Session
	machines   machine.Config
	effects    *sync.Pool // of *[]machine.Effect; by pointer like directory.replies
	dispatcher *dispatcher
	directory  *directory
	sweeper    *sweeper
	clock      *clock
	ctx        context.Context // of all backend calls that block; ends when Close stops waiting
	cancel     context.CancelFunc
	closeLog   func()

	attempts  atomic.Uint64
	lingering atomic.Int64 // keys that do
	seldom    seldom       // lines about renewals that fail

	lookers  sync.Mutex // protects what follows, up to the Wait
	lookless bool       // nobody is left to look
	looking  sync.WaitGroup

	closing   sync.Once
	closed    chan struct{} // closed when Close is done
	drained   chan struct{} // a slot: an actor retired while closing
	shut      atomic.Bool
	closeBy   atomic.Int64 // the instant until which Close waits for the backend
	closeErr  error
	closeErrs sync.Mutex
}

type counters struct {
	holds, handoffs, timeouts, losses, expired, calls atomic.Uint64
	waiters                                           atomic.Int64
}

// granted counts a grant, or takes it back where by is -1.
func (c *counters) granted(handoff bool, by int64) {
	c.holds.Add(uint64(by))
	if handoff {
		c.handoffs.Add(uint64(by))
	}
}

// Stats counts what a coordinator did since it was made.
type Stats struct {
	Holds        uint64 // granted
	Handoffs     uint64 // of these, under a lease that was there already
	Timeouts     uint64 // acquires that ended without a hold, by timeout or cancellation
	Losses       uint64 // holds that ended by ErrLost
	Expired      uint64 // holds that reached their deadline before their release
	BackendCalls uint64
	Waiters      int64 // now
	LiveKeys     int64 // now
}

// New returns a coordinator over a backend, which it closes when it is closed.
func New(b backends.Backend, cfg Config) (*Coordinator, error) {
	if cfg.Tenure <= 0 {
		cfg.Tenure = DefaultTenure
	}
	if cfg.IdleAfter <= 0 {
		cfg.IdleAfter = defaultIdleAfter
	}
	if cfg.MaxWaiters <= 0 {
		cfg.MaxWaiters = DefaultMaxWaiters
	}
	lingersByDefault := cfg.resolveLinger(b)
	logger, closeLog := logqueue.Wrap(cfg.Logger)
	cfg.Logger = logger
	c := &Coordinator{
		cfg:        cfg,
		backend:    b,
		can:        backends.Describe(b),
		session:    backends.NewSession(),
		effects:    &sync.Pool{New: func() any { return new([]machine.Effect) }},
		dispatcher: newDispatcher(),
		closed:     make(chan struct{}),
		drained:    make(chan struct{}, 1),
		closeLog:   closeLog,
	}
	c.starter, _ = b.(backends.Starter)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.directory = newDirectory(c.dispatcher, func(e *entry) actor.Actor { return newKeyActor(c, e) })
	c.directory.immediate = c.can.Immediate
	c.directory.late = c.noteLate
	c.clock = c.directory.clock
	c.clock.jumped = c.look
	c.machines = c.machineConfig()
	c.machines.LingerAgain = lingersByDefault
	c.sweeper = &sweeper{after: cfg.IdleAfter, clock: c.clock, dispatcher: c.dispatcher}
	if r, ok := b.(backends.Repeater); ok {
		r.Repeats(c.repeat)
	}
	if w, ok := b.(backends.Waker); ok {
		if err := w.Subscribe(c.session, c.wake); err != nil {
			c.Close()
			return nil, err
		}
	}
	if r, ok := b.(backends.Reclaimer); ok {
		r.Reclaims(c.reclaim)
	}
	return c, nil
}

// machineConfig is what the machines of all keys have in common.
func (c *Coordinator) machineConfig() machine.Config {
	can := c.can
	_, can.Inspects = c.backend.(backends.Inspector) // whatever it declares
	return machine.Config{
		Can: can, Owner: c.cfg.Owner, Tenure: c.cfg.Tenure, Linger: c.cfg.Linger, PollerGap: c.cfg.PollerGap,
		NoHandoff: c.cfg.NoHandoff, MaxWaiters: c.cfg.MaxWaiters,
		Epoch: c.clock.start.UnixNano() - 1, // the first instant is 1
		NextAttempt: func() uint64 {
			if n := c.attempts.Add(1); n <= backends.MaxAttempt {
				return n
			}
			return 0
		},
		NextAsk: newNumbers().next,
	}
}

// Begin posts an acquire of key. The outcome comes by h.Wait. It returns
// ErrClosed if the coordinator is closed, and ErrInvalid for a kind of hold that the backend does not keep.
func (c *Coordinator) Begin(h *Hold, key string, spec Spec) error {
	if spec.Kind != backends.Exclusive && !c.can.Kinds {
		return c.noKind(spec.Kind)
	}
	h.state.Spec, h.state.Tag = spec, h
	if !c.directory.post(key, func(e *entry) any {
		h.entry = e
		return acquire{h}
	}) {
		return backends.ErrClosed
	}
	return nil
}

// wake passes a push of the backend on to the key's actor. A key that has none
// is nobody's business any more: actors settle their attempts before they retire.
func (c *Coordinator) wake(w backends.Wake) {
	if w.Key == "" {
		// Pushes may have been lost, so every waiter has to ask again. Keys that nobody
		// uses are left in peace: otherwise each outage would keep them from retiring.
		c.directory.each(func(e *entry) bool {
			if !e.idle.Load() {
				e.post(wake{&w})
			}
			return true
		})
		return
	}
	key, ok := strings.CutPrefix(w.Key, c.cfg.Prefix)
	if !ok {
		return
	}
	if e := c.directory.find(key); e != nil {
		e.post(wake{&w})
	}
}

// look has every key look at the clock, which has jumped: their timers will fire
// too late. The clock of a coordinator that is closed can still be read.
func (c *Coordinator) look() {
	c.lookers.Lock()
	defer c.lookers.Unlock()
	if c.lookless {
		return
	}
	c.looking.Go(func() { // ends when each key has been told; Close waits for it
		c.directory.each(func(e *entry) bool { e.post(tick{}); return true })
	})
}

// stopLooking returns when each look has ended, and begins no other.
func (c *Coordinator) stopLooking() {
	c.lookers.Lock()
	c.lookless = true
	c.lookers.Unlock()
	c.looking.Wait()
}

// attempt names this session's attempt number n on a full key.
func (c *Coordinator) attempt(key string, n uint64) backends.Attempt {
	return backends.Attempt{Key: key, Token: c.session.Token(n)}
}

// Capabilities is what the backend declares.
func (c *Coordinator) Capabilities() backends.Capabilities { return c.can }

// Stats returns the counters.
func (c *Coordinator) Stats() Stats {
	s := Stats{LiveKeys: c.directory.live.Load()}
	for i := range c.directory.shards {
		n := &c.directory.shards[i].counters
		s.Holds += n.holds.Load()
		s.Handoffs += n.handoffs.Load()
		s.Timeouts += n.timeouts.Load()
		s.Losses += n.losses.Load()
		s.Expired += n.expired.Load()
		s.BackendCalls += n.calls.Load()
		s.Waiters += n.waiters.Load()
	}
	return s
}

// Close fails the waiters with ErrClosed, ends the holds, gives the leases back
// (for at most 2 s), and waits until every goroutine of the coordinator is gone.
// It returns what the release of leases and the backend's Close reported. Closing
// again waits for the first and returns nil.
func (c *Coordinator) Close() error {
	var err error
	c.closing.Do(func() {
		c.closeBy.Store(int64(c.clock.now().Add(callTimeout)))
		c.shut.Store(true)
		c.directory.close()
		c.drain()
		c.sweeper.stop()
		c.directory.silence()
		c.stopLooking()
		c.cancel()
		c.dispatcher.Close()
		err = c.backend.Close()
		c.closeLog()
		c.closeErrs.Lock()
		if c.closeErr != nil {
			err = c.closeErr
		}
		c.closeErrs.Unlock()
		close(c.closed)
	})
	<-c.closed
	return err
}

// drain stops every actor and waits until all have retired. After callTimeout
// the calls that are still under way are cancelled, and the leases they would
// have given back end by their ttl.
func (c *Coordinator) drain() {
	c.directory.each(func(e *entry) bool { e.post(shutdown{}); return true })
	patience := time.NewTimer(callTimeout)
	defer patience.Stop()
	for c.directory.actors.Load() > 0 {
		select {
		case <-c.drained:
		case <-patience.C:
			c.cancel()
			c.directory.each(func(e *entry) bool { e.post(shutdown{}); return true })
		}
	}
}

// warn logs, and never waits: a queue stands before the user's handler.
func (c *Coordinator) warn(message string, args ...any) { c.cfg.Logger.Warn(message, args...) }

// gone is called by each actor that has stopped.
func (c *Coordinator) gone() {
	c.directory.actors.Add(-1)
	if !c.shut.Load() {
		return
	}
	select {
	case c.drained <- struct{}{}:
	default:
	}
}

// failed keeps the first error of a release that Close could not complete.
func (c *Coordinator) failed(err error) {
	c.closeErrs.Lock()
	defer c.closeErrs.Unlock()
	if c.closeErr == nil {
		c.closeErr = err
	}
}

// Closed reports whether Close has been called.
func (c *Coordinator) Closed() bool { return c.shut.Load() }
