package bench

import (
	"sync"
	"sync/atomic"
	"time"
)

// The phases of a run: what happens before measuring is the warm-up.
const (
	warming int32 = iota
	measuring
	stopped
)

// phases is the clock that everybody in a process looks at. The conductor
// turns it, by hand or through a pipe.
type phases struct {
	phase atomic.Int32
	over  chan struct{} // closed when the run is stopped

	mu                  sync.Mutex // protects the times
	start, began, ended time.Time
}

func newPhases() *phases { return &phases{over: make(chan struct{})} }

func (p *phases) now() int32 { return p.phase.Load() }

func (p *phases) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start = time.Now()
}

// measure does nothing once the run was stopped: a fault in the warm-up may
// come first. It returns how long the warm-up was.
func (p *phases) measure() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase.CompareAndSwap(warming, measuring) {
		p.began = time.Now()
	}
	return p.began.Sub(p.start)
}

// warmed is how long the warm-up has been.
func (p *phases) warmed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.start)
}

// stop is called again where a fault ended the run early.
func (p *phases) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.phase.Swap(stopped) {
	case measuring:
		p.ended = time.Now()
		close(p.over)
	case warming:
		close(p.over)
	}
}

// elapsed is this process's own measure of what it measured: workers get the
// word one after another.
func (p *phases) elapsed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended.Sub(p.began)
}

// end is when measuring ended, or never began.
func (p *phases) end() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}
