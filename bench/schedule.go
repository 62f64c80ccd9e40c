package bench

import "time"

const (
	// runCost is the time that a run takes beside its phases, with the last waits.
	// serverCost is the start and the end of its server, processCost a worker's
	// start. All are measured, on an idle machine of two cores.
	runCost, serverCost, processCost = 50 * time.Millisecond, 100 * time.Millisecond, 40 * time.Millisecond
	// memcachedLate is how much longer than the lease memcached keeps a dead
	// holder's item, measured with a lease of 2 s. Memcached counts in whole
	// seconds.
	memcachedLate = 1500 * time.Millisecond
)

// cost estimates how long a case takes. It assumes that servers are started for the
// case.
func (c Case) cost() time.Duration {
	place := c.Strategy.Describe().Place
	d := runCost + processCost*time.Duration(c.Workload.Processes)
	if served(place) {
		d += serverCost
	}
	switch {
	case c.Lease == 0:
		return d + c.Workload.Warmup + c.Workload.Duration
	case place == PlaceMemcached:
		d += kills * memcachedLate
	}
	return d + kills*(c.Lease+2*processCost) // two workers for each
}

// Estimate returns about how long the plan takes. A strategy that is slow to drain
// its waiters at the end takes up to 5 s more a run.
func (p Plan) Estimate() time.Duration { return estimate(p.Cases()) }

func estimate(cases []Case) (d time.Duration) {
	for _, c := range cases {
		d += c.cost()
	}
	return d
}

// All runs of one kind are longer or shorter than planned by about the same factor.
type kind struct {
	place    string
	recovery bool
}

func kindOf(c Case) kind { return kind{c.Strategy.Describe().Place, c.Lease > 0} }

// A schedule corrects an estimate by the runs so far, and each kind of runs by its
// own: a plan begins with the quick ones.
type schedule struct {
	left           map[kind]time.Duration // as planned, of the runs to come
	planned, spent map[kind]time.Duration // as planned and as it was, of the runs that have ended
}

func newSchedule(cases []Case) *schedule {
	p := &schedule{left: map[kind]time.Duration{}, planned: map[kind]time.Duration{}, spent: map[kind]time.Duration{}}
	for _, c := range cases {
		p.left[kindOf(c)] += c.cost()
	}
	return p
}

// ran notes how long a run took.
func (p *schedule) ran(c Case, took time.Duration) {
	k := kindOf(c)
	p.left[k] -= c.cost()
	p.planned[k] += c.cost()
	p.spent[k] += took
}

// factor is how much longer than planned runs of a kind take. It comes from the
// earlier runs of that kind, or from all earlier runs if there was none of it.
func (p *schedule) factor(k kind) float64 {
	if p.planned[k] > 0 {
		return float64(p.spent[k]) / float64(p.planned[k])
	}
	var planned, spent time.Duration
	for k := range p.planned {
		planned += p.planned[k]
		spent += p.spent[k]
	}
	if planned == 0 || k.recovery { // a recovery waits for the end of a lease, on any machine
		return 1
	}
	return float64(spent) / float64(planned)
}

// remaining returns about how long the runs to come take; expects is the time of one
// of them.
func (p *schedule) remaining() (d time.Duration) {
	for k, left := range p.left {
		d += time.Duration(float64(left) * p.factor(k))
	}
	return d
}

func (p *schedule) expects(c Case) time.Duration {
	return time.Duration(float64(c.cost()) * p.factor(kindOf(c)))
}
