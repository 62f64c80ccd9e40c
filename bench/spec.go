package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A spec says what one process has to do in a run. It travels to workers.
type spec struct {
	Strategy string
	Place    Place
	Process  int // from 0
	Workload Workload
	Record   string        // the file of the shared record; "" within one process
	Lease    time.Duration // of a Leased strategy; 0: its own
	Part     string        // partLoad, or of a recovery
	Budget   time.Duration // the run is broken off after that: somebody hangs
}

// What a process does.
const (
	partLoad   = ""
	partHolder = "holder"
	partWaiter = "waiter"
)

// Leased is a Strategy whose holds last for a time that can be set. Only such a
// one can be asked what happens when a holder is killed.
type Leased interface {
	// WithExpires returns the strategy with holds of that length.
	WithExpires(d time.Duration) Strategy
}

// Scripted is a Strategy whose requests make the server run further commands,
// inside scripts. Without it, all that the server ran counts as sent.
type Scripted interface {
	// Inner lists those commands, in lower case as the server's statistics name
	// them. One that the strategy's clients also send by themselves is left out,
	// so that the count of requests is never too low.
	Inner() []string
}

// A Yardstick is a Strategy that is no lock but what locks are held against, such
// as what their server does when no client stands in its way. It is given the place
// and does the whole run by itself; its Open is not called.
type Yardstick interface {
	// Work keeps to the workload's warm-up and duration. It returns how many acquires
	// with their releases came in the duration, and how long that was.
	Work(ctx context.Context, at Place, w Workload) (holds uint64, elapsed time.Duration, err error)
}

// Check says what is wrong with a workload.
func (w Workload) Check() error {
	switch {
	case w.Goroutines < 1:
		return fmt.Errorf("bench: %d goroutines", w.Goroutines)
	case w.Keys < 1:
		return fmt.Errorf("bench: %d keys", w.Keys)
	case w.Processes < 0:
		return fmt.Errorf("bench: %d processes", w.Processes)
	case w.Zipf != 0 && !(w.Zipf > 1):
		return fmt.Errorf("bench: zipf %v: it has to be above 1", w.Zipf)
	case !(w.Shared >= 0 && w.Shared <= 1):
		return fmt.Errorf("bench: %v of the holds shared: 0 to 1", w.Shared)
	case w.Slots < 0 || w.Slots > 0 && w.Shared > 0:
		return fmt.Errorf("bench: %d slots, and %v of the holds shared: one of the two", w.Slots, w.Shared)
	case w.Hold < 0 || w.Think < 0 || w.Warmup < 0 || w.RoundTrip < 0:
		return errors.New("bench: a time below 0")
	case w.Duration <= 0:
		return errors.New("bench: nothing is measured in a duration of 0")
	case !(w.Rate >= 0):
		return fmt.Errorf("bench: %v holds a second", w.Rate)
	case w.Rate > 0 && w.Think > 0:
		return errors.New("bench: an open loop has no time to think: its starts are planned")
	case w.RoundTrip%time.Millisecond != 0:
		return fmt.Errorf("bench: a round trip of %v: the proxy delays by whole milliseconds", w.RoundTrip)
	}
	return nil
}

// paused says that somebody sleeps in this workload, by the clock.
func (w Workload) paused() bool {
	return w.Hold >= spinBelow || w.Think >= spinBelow || w.Rate > 0 || w.RoundTrip > 0
}

// prepare opens the strategy for a process's part.
func (sp spec) open(ctx context.Context, s Strategy) (Locker, error) {
	if sp.Lease > 0 {
		leased, ok := s.(Leased)
		if !ok {
			return nil, fmt.Errorf("bench: %s: its holds have no length to set", s.Name())
		}
		s = leased.WithExpires(sp.Lease)
	}
	locker, err := s.Open(ctx, sp.Place)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return locker, nil
}

// Kinds of a Failure.
const (
	kindOverlap  = "overlap"
	kindFence    = "fence"
	kindStranded = "stranded"
	kindError    = "error"
)

const (
	// slack is what a loaded machine may need beside what was asked for.
	slack = 30 * time.Second
	// patience is what a process gets beyond its budget, to notice that it is over.
	patience = 10 * time.Second
)

func (w Workload) budget() time.Duration { return w.Warmup + w.Duration + drainTime + slack }
