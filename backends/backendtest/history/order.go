package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Limits are what Order allows.
type Limits struct {
	// Slack is by how much a caller's note of when it asked, or was granted, may be wrong: how long it takes from there
	// to the lock's own order.
	Slack time.Duration
	// Turn is how long a process may go on granting while another waits: Tenure, and what it takes until it hears of that.
	Turn time.Duration
	// Turns is how often a process may have the key while another waits, since that came. 0: 2. It may have a share, and wait
	// for the key alone beside it: then it has its turn twice.
	Turns int
}

// Order checks that nobody waits past those that came after it, nested holds apart. Within a process callers are served as
// they came, whichever their kind. Of other processes each has some turns, and no more, while one of a process waits and
// none there is granted.
func Order(all []Hold, l Limits) error {
	l.Turns = cmp.Or(l.Turns, 2)
	all = slices.DeleteFunc(slices.Clone(all), func(h Hold) bool { return h.Nested })
	slices.SortStableFunc(all, func(a, b Hold) int { return cmp.Compare(a.Asked, b.Asked) })
	processes := make(map[int][]Hold)
	for _, h := range all {
		processes[h.Process] = append(processes[h.Process], h)
	}
	for p, own := range processes {
		if err := inTurn(own, int64(l.Slack)); err != nil {
			return err
		}
		for q, others := range processes {
			if q == p {
				continue
			}
			if err := passes(own, others, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// served is when a caller waited no more.
func (h Hold) served() int64 {
	if h.Granted == 0 {
		return h.Ended
	}
	return h.Granted
}

// inTurn checks the callers of one process, which are sorted by when they came.
func inTurn(own []Hold, slack int64) error {
	earliest := Hold{Granted: math.MaxInt64} // of those that came later
	later := len(own)
	for i := len(own) - 1; i >= 0; i-- {
		for later > i+1 && own[later-1].Asked > own[i].Asked+slack {
			later--
			if g := own[later]; g.Granted != 0 && g.Granted < earliest.Granted {
				earliest = g
			}
		}
		if earliest.Granted < own[i].served()-slack {
			return fmt.Errorf("ORDER: %v; before it, %v", own[i], earliest)
		}
	}
	return nil
}

// A wait is a time in which a process waits, and none of it is granted.
type wait struct {
	from, to int64
	of       Hold // one of those that wait, at its end
}

// waits are the times in which a process waits.
func waits(own []Hold) (all []wait) {
	byEnd := slices.Clone(own)
	slices.SortStableFunc(byEnd, func(a, b Hold) int { return cmp.Compare(a.served(), b.served()) })
	// The first that waited is known when it is served. From the last grant before, or from when it came, if that
	// was later, its process waited.
	last := int64(math.MinInt64)
	for _, h := range byEnd {
		if from := max(last, h.Asked); from < h.served() {
			all = append(all, wait{from, h.served(), h})
		}
		if h.Granted != 0 {
			last = h.Granted
		}
	}
	return all
}

// passes checks what another process is granted while one waits.
func passes(own, others []Hold, l Limits) error {
	grants := granted(others)
	for _, w := range waits(own) {
		from, to := w.from+int64(l.Slack), w.to-int64(l.Slack)
		i, _ := slices.BinarySearchFunc(grants, from, func(h Hold, at int64) int { return cmp.Compare(h.Granted, at) })
		turns, over := 0, int64(math.MinInt64)
		for ; i < len(grants) && grants[i].Granted < to; i++ {
			g := grants[i]
			if g.Asked <= from || g.Granted <= over {
				continue
			}
			over = g.Granted + int64(l.Turn)
			if turns++; turns > l.Turns {
				return fmt.Errorf("ORDER: %v; in turn %d past it, %v", w.of, turns, g)
			}
		}
	}
	return nil
}
