package bench

import "time"

const (
	// runCost is what a run takes beside its phases, the last waits among them.
	// serverCost is the start and the end of its server, processCost a worker's start.
	// All are measured, on an idle machine of two cores.
	runCost, serverCost, processCost = 50 * time.Millisecond, 100 * time.Millisecond, 40 * time.Millisecond
	// memcachedLate is how much longer than its lease memcached keeps a dead holder's
	// item, whose time is in whole seconds: measured with a lease of 2 s.
	memcachedLate = 1500 * time.Millisecond
)

// cost is how long a case takes, about. It takes its servers for such as are started
// for it.
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

// Estimate is how long the plan takes, about. A strategy that is slow to drain its
// waiters at the end takes up to 5 s more a run.
func (p Plan) Estimate() time.Duration { return estimate(p.Cases()) }

func estimate(cases []Case) (d time.Duration) {
	for _, c := range cases {
		d += c.cost()
	}
	return d
}

// A kind of runs takes longer or shorter than planned by the same factor, about.
type kind struct {
	place    string
	recovery bool
}

func kindOf(c Case) kind { return kind{c.Strategy.Describe().Place, c.Lease > 0} }

// A schedule corrects an estimate by the runs so far, each kind by its own: a plan begins
// with what is quick.
type schedule struct {
	left           map[kind]time.Duration // as planned, of the runs to come
	planned, spent map[kind]time.Duration // of those that were
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

// factor is how much longer than planned runs of a kind take: as those before, and of a
// kind that was not there yet, as all before.
func (p *schedule) factor(k kind) float64 {
	if p.planned[k] > 0 {
		return float64(p.spent[k]) / float64(p.planned[k])
	}
	var planned, spent time.Duration
	for k := range p.planned {
		planned += p.planned[k]
		spent += p.spent[k]
	}
	if planned == 0 || k.recovery { // which waits for the end of a lease, on any machine
		return 1
	}
	return float64(spent) / float64(planned)
}

// remaining is how long the runs to come take, about; expects is one of them.
func (p *schedule) remaining() (d time.Duration) {
	for k, left := range p.left {
		d += time.Duration(float64(left) * p.factor(k))
	}
	return d
}

func (p *schedule) expects(c Case) time.Duration {
	return time.Duration(float64(c.cost()) * p.factor(kindOf(c)))
}
