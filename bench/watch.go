package bench

import (
	"sync"
	"time"
)

// A pace is how many holds a warm-up had come to at its last two looks. Its
// beginning says little: ten thousand goroutines take their time to start.
type pace struct {
	mu         sync.Mutex // protects what follows
	prev, last sample
}

type sample struct {
	after time.Duration // since the warm-up began
	holds uint64
}

func (p *pace) look(s sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prev, p.last = p.last, s
}

// earlier is one to two looks ago, or the beginning.
func (p *pace) earlier() sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prev
}

// shiftFor is how many holds are timed: see measure.
func shiftFor(warm time.Duration, holds uint64) uint32 {
	if warm <= 0 {
		return warmupShift
	}
	shift := uint32(0)
	for rate := float64(holds) / warm.Seconds(); rate > maxTimed; rate /= 2 {
		shift++
	}
	return shift
}

const (
	// Who waits when the time is over is served, or the longest waits would be left
	// out. When nobody was for quiet, several times the longest pause of any strategy
	// between its tries, those who still wait are stranded. A queue that is longer
	// than drainTime is broken off: its waits count as long as they were.
	quiet, drainTime = 3 * time.Second, 5 * time.Second
	// forecast is how long a drain goes on before it is said how long it will take.
	forecast = time.Second
	lookEach = 40 * time.Millisecond
)

// watch looks at the load while it runs, and ends the waits that take too long at
// its end. The stop it returns says whether that was because nobody was served any
// more.
func (l *load) watch() (stop func() (stuck bool)) {
	quit, result := make(chan struct{}), make(chan bool, 1)
	go func() { // ends by stop
		looks := time.NewTicker(lookEach)
		defer looks.Stop()
		var d drain
		for {
			select {
			case <-quit:
				result <- d.stuck
				return
			case now := <-looks.C:
				switch {
				case l.phases.now() == warming:
					l.pace.look(sample{l.phases.warmed(), l.warmHolds()})
				case l.phases.now() == stopped && !d.over:
					d.look(now, l.late.Load(), int64(len(l.contenders))-l.gone.Load())
					if d.over {
						l.cancel()
					}
				}
			}
		}
	}()
	return func() bool { close(quit); return <-result }
}

// A drain is what is left of a load when its time is over.
type drain struct {
	began, last time.Time // of the drain; of the last look that saw somebody served
	served      int64
	over, stuck bool
}

// look is told how many were served since the end and how many still wait.
func (d *drain) look(now time.Time, served, waiting int64) {
	if d.began.IsZero() {
		d.began, d.last = now, now
	}
	if served != d.served {
		d.served, d.last = served, now
	}
	gone := now.Sub(d.began)
	d.stuck = now.Sub(d.last) >= quiet
	hopeless := gone >= forecast && served > 0 && float64(waiting)/float64(served)*float64(gone) > float64(drainTime-gone)
	d.over = d.stuck || hopeless || gone >= drainTime
}
