package actors

import (
	"sync"
	"time"
)

// A sweeper asks actors that have been idle for a while to retire. Its timer
// runs only while somebody is idle.
type sweeper struct {
	after      time.Duration
	clock      *clock
	dispatcher *dispatcher

	armed sync.WaitGroup // 1 from when the timer is set until its sweep has ended

	mu      sync.Mutex // protects what follows
	idle    []idler    // oldest first
	timer   *time.Timer
	stopped bool
}

type idler struct {
	entry *entry
	since instant
}

// add is called by an actor that has just become idle, once until it is swept.
func (s *sweeper) add(e *entry, now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.idle = append(s.idle, idler{e, now})
	if len(s.idle) == 1 {
		s.armLocked(s.after)
	}
}

func (s *sweeper) armLocked(d time.Duration) {
	s.armed.Add(1)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.sweep)
		return
	}
	s.timer.Reset(d)
}

func (s *sweeper) sweep() {
	defer s.armed.Done()
	now := s.clock.now()
	s.mu.Lock()
	due := 0
	for due < len(s.idle) && now.Sub(s.idle[due].since) >= s.after {
		due++
	}
	batch := s.idle[:due:due]
	s.idle = s.idle[due:]
	switch {
	case s.stopped:
	case len(s.idle) > 0:
		s.armLocked(s.after - now.Sub(s.idle[0].since))
	default:
		s.idle = nil // lets go of the array of a large batch
	}
	s.mu.Unlock()
	if len(batch) > 0 {
		// One worker for all: to wake one for each costs more than most actors do then.
		s.dispatcher.Schedule(func() { // ends with the batch
			for _, i := range batch {
				i.entry.work(sweep{})
			}
		})
	}
}

// stop returns when no sweep is under way, and begins no other.
func (s *sweeper) stop() {
	s.mu.Lock()
	s.stopped = true
	if s.timer != nil && s.timer.Stop() {
		s.armed.Done()
	}
	s.mu.Unlock()
	s.armed.Wait()
}
