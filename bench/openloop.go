package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// tickets are the planned starts of an open loop, one after another at equal
// distances. A contender that is free takes the next one and waits for its time;
// a ticket whose time has passed when it is taken found nobody free, and its wait
// counts from the plan all the same. So a stall of the lock shows in all the waits
// that were planned during it, and not in one ("coordinated omission").
type tickets struct {
	first, every float64 // ns, on the clock
	next         atomic.Int64
	noneFree     atomic.Uint64 // of those that were taken while measuring
}

// issue begins the plan now. The processes' plans are interleaved.
func (t *tickets) issue(sp spec, now int64) {
	gap := 1e9 / sp.Workload.Rate
	t.every = gap * float64(max(sp.Workload.Processes, 1))
	t.first = float64(now) + gap*float64(sp.Process)
}

// take returns when the next start is planned.
func (t *tickets) take() int64 { return t.planned(t.next.Add(1) - 1) }

func (t *tickets) planned(i int64) int64 { return int64(t.first + float64(i)*t.every) }

// settle counts the starts that nobody was free for until the end: they waited as
// long as they could. It returns how many starts found nobody, these included.
func (t *tickets) settle(m *meter, ended int64) uint64 {
	for {
		planned := t.take()
		if planned >= ended {
			return t.noneFree.Load()
		}
		t.noneFree.Add(1)
		m.record(ended-planned, -1)
	}
}

// ahead is how much earlier than planned a contender wakes, to spin for the rest: a
// timer is late by the tick and more, which would be most of a wait of some µs. At
// 1 ms and more between starts that takes a tenth of a CPU at most; where they
// follow each other faster, a start is late by 0.1 ms, and that counts as waiting.
func (t *tickets) ahead() time.Duration {
	if t.every < 1e6 {
		return 0
	}
	return tickEvery
}

// open is one contender's loop: it starts when the plan says so.
func (l *load) open(ctx context.Context, c *contender) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for l.phases.now() != stopped {
		planned := l.tickets.take()
		early := time.Duration(planned - l.clock.now())
		switch {
		case early > 0:
			timer.Reset(early - l.tickets.ahead())
			select {
			case <-timer.C:
			case <-l.phases.over:
				if l.clock.now() < planned {
					return nil
				}
			}
			spin(l.clock, planned)
		case l.phases.now() == measuring:
			l.tickets.noneFree.Add(1)
		}
		if done, err := l.hold(ctx, c, planned); done || err != nil {
			return err
		}
	}
	return nil
}
