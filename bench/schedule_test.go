package bench

import (
	"testing"
	"time"
)

// placed is a strategy at another place.
type placedAt struct {
	Strategy
	place string
}

func (s placedAt) Describe() Description {
	d := s.Strategy.Describe()
	d.Place = s.place
	return d
}

// The estimate includes the time of a server's start and of a recovery.
func TestAnEstimateCountsServersAndRecoveries(t *testing.T) {
	at := func(place string, lease time.Duration) Case {
		return Case{Strategy: placedAt{strategyNamed("channel"), place}, Lease: lease,
			Workload: Workload{Goroutines: 1, Processes: 1, Warmup: time.Second, Duration: time.Second}}
	}
	plain := at(PlaceProcess, 0).cost()
	if got := at(PlaceRedis, 0).cost(); got < plain+serverCost {
		t.Errorf("with a server %v, without %v", got, plain)
	}
	if got := at(PlaceRedis, 5*time.Second).cost(); got < kills*5*time.Second {
		t.Errorf("a recovery takes %v", got)
	}
	if got := at(PlaceMemcached, 5*time.Second).cost(); got < kills*(5*time.Second+memcachedLate) {
		t.Errorf("a recovery on memcached takes %v", got)
	}
}

// A plan begins with the quick runs; their pace does not change the estimate of the
// slow ones.
func TestAScheduleCorrectsEachKindByItsOwn(t *testing.T) {
	w := Workload{Goroutines: 1, Processes: 1, Warmup: time.Second, Duration: time.Second}
	here := Case{Strategy: placedAt{strategyNamed("channel"), PlaceProcess}, Workload: w}
	there := Case{Strategy: placedAt{strategyNamed("channel"), PlaceRedis}, Workload: w}
	dies := there
	dies.Lease = 2 * time.Second
	p := newSchedule([]Case{here, here, there, there, dies, dies})
	if got, want := p.remaining(), 2*(here.cost()+there.cost()+dies.cost()); got != want {
		t.Errorf("at the begin %v, want %v", got, want)
	}
	p.ran(here, here.cost())
	p.ran(there, 3*there.cost())
	if got, want := p.expects(there), 3*there.cost(); got != want {
		t.Errorf("the next is expected to take %v, want %v", got, want)
	}
	if got, want := p.remaining(), here.cost()+3*there.cost()+2*dies.cost(); got != want {
		t.Errorf("then %v, want %v", got, want)
	}
	p.ran(dies, 2*dies.cost())
	if got, want := p.remaining(), here.cost()+3*there.cost()+2*dies.cost(); got != want {
		t.Errorf("after a recovery %v, want %v", got, want)
	}
}
