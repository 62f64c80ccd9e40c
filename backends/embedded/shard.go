package embedded

import (
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

const (
	// sweepWith is how many keys that may have expired each script's call looks
	// at: more than it makes, so that a busy shard keeps up by itself.
	sweepWith = 8
	// sweepBatch is how many the timer looks at before it lets scripts pass.
	sweepBatch = 1024
	// sweepGap is how far apart the timer's sweeps are at least. An expired key
	// is invisible at once; this only delays when its memory is free.
	sweepGap = time.Second
	// sweepPause is what lies between two batches of one sweep.
	sweepPause = time.Millisecond
)

// A shard owns some of a store's keys, and the interpreter that runs over
// them. Whoever calls run is its owner for that long: no goroutine stands
// between, which is the cheapest way to have one owner.
type shard struct {
	mu     sync.Mutex // protects all below
	keys   *keyspace.Keyspace
	vm     *engine.VM // made at first use
	timer  *time.Timer
	armed  int64 // when the timer fires, on the keyspace's clock, µs; 0: it won't
	closed bool
}

func newShard(keys *keyspace.Keyspace) *shard { return &shard{keys: keys} }

// run runs a program, and returns beside its reply the messages it published:
// they are to be delivered when no lock is held.
func (s *shard) run(p *engine.Program, keys, argv []string) (keyspace.Reply, []keyspace.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return keyspace.Reply{}, nil, backends.ErrClosed
	}
	if s.vm == nil {
		s.vm = newVM(s.keys)
	}
	reply, err := s.vm.Run(p, keys, argv)
	s.keys.Sweep(sweepWith)
	s.armLocked()
	return reply, s.keys.Published(), err
}

// list adds the locks whose keys begin with prefix.
func (s *shard) list(keys []string, prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return keys
	}
	s.keys.Tick()
	return s.keys.Strings(keys, prefix)
}

// armLocked sees to it that the timer fires soon after the next key expires.
// A timer that fires a little late is left alone, since moving it costs more
// than a look-up, and a lock's expiry moves with every call.
func (s *shard) armLocked() {
	in, pending := s.keys.NextSweep()
	if !pending {
		return // a timer still armed finds nothing, and is not armed again
	}
	wait := max(time.Duration(in)*time.Microsecond, sweepGap)
	if s.armed != 0 && s.armed <= s.keys.Now()+(wait+sweepGap).Microseconds() {
		return
	}
	s.setTimerLocked(wait)
}

func (s *shard) setTimerLocked(wait time.Duration) {
	s.armed = s.keys.Now() + wait.Microseconds()
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.sweep)
		return
	}
	s.timer.Reset(wait)
}

// sweep frees what expired while nobody called. The timer runs it on a
// goroutine that ends with it.
func (s *shard) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.armed = 0
	s.keys.Tick()
	if s.keys.Sweep(sweepBatch) {
		s.setTimerLocked(sweepPause)
		return
	}
	s.armLocked()
}

// close forgets the keys. Nobody may call run afterwards with success.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.vm != nil {
		s.vm.Rebind(nil)
		spares.Put(s.vm)
	}
	s.keys, s.vm = nil, nil
}

// spares keeps the interpreters of ended stores for new ones. A program may open a
// client for each request, and the interpreter is most of a client's cost. A spare
// knows nothing of the stores it served.
var spares sync.Pool

func newVM(keys *keyspace.Keyspace) *engine.VM {
	if vm, ok := spares.Get().(*engine.VM); ok {
		vm.Rebind(keys)
		return vm
	}
	return engine.New(keys)
}
