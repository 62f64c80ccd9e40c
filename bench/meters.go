package bench

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Times are kept from 1 ns to 10 min in steps of 1 %.
	shortestTime, longestTime, timeDigits = 1, int64(600e9), 2
	// maxMeters bounds the histograms of a process, 38 KB each. All contenders share
	// so few, of which most lines stay cached; at 20 000 holds a second that are
	// timed, two seldom meet at one.
	maxMeters = 8
)

// A meter is where some contenders of a process keep their times.
type meter struct {
	mu     sync.Mutex // protects what follows
	waits  *hdrhistogram.Histogram
	grants *hdrhistogram.Histogram

	_ [128]byte // as in a contender
}

// newMeters are made before the run: in its midst they would be measured as well.
func newMeters(contenders int) []*meter {
	meters := make([]*meter, min(contenders, maxMeters))
	for i := range meters {
		meters[i] = &meter{waits: newTimes(), grants: newTimes()}
	}
	return meters
}

func newTimes() *hdrhistogram.Histogram {
	return hdrhistogram.New(shortestTime, longestTime, timeDigits)
}

// record keeps a wait, and a time from release to grant unless it is negative.
func (m *meter) record(wait, grant int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep(m.waits, wait)
	if grant >= 0 {
		keep(m.grants, grant)
	}
}

// keep brings what is too long to the end of the range, where it still shows as
// the longest.
func keep(h *hdrhistogram.Histogram, t int64) {
	_ = h.RecordValue(min(max(t, shortestTime), longestTime)) // it is in range
}

// merged is what all meters of a process saw.
func merged(meters []*meter) (waits, grants *hdrhistogram.Histogram) {
	waits, grants = newTimes(), newTimes()
	for _, m := range meters {
		m.mu.Lock()
		waits.Merge(m.waits)
		grants.Merge(m.grants)
		m.mu.Unlock()
	}
	return waits, grants
}

// quantiles are dense towards 1, where waits are told apart.
var quantiles = [...]float64{
	0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9,
	0.925, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999, 0.99999,
}

// distribution sums a histogram up. A quantile that fewer than one value lies
// above is the maximum's and left out, for 1.
func distribution(h *hdrhistogram.Histogram) Distribution {
	const ns = 1e-9
	n := h.TotalCount()
	d := Distribution{Count: uint64(n)}
	if n == 0 {
		return d
	}
	d.Min, d.Mean, d.Max = float64(h.Min())*ns, h.Mean()*ns, float64(h.Max())*ns
	for _, q := range quantiles {
		if float64(n)*(1-q) < 1 {
			break
		}
		d.Quantiles = append(d.Quantiles, Quantile{q, min(float64(h.ValueAtQuantile(q*100))*ns, d.Max)})
	}
	d.Quantiles = append(d.Quantiles, Quantile{1, d.Max})
	return d
}

// At is the time that the part q of the values does not exceed, between the
// quantiles that are known; 0 without any value.
func (d Distribution) At(q float64) float64 {
	for i, known := range d.Quantiles {
		if known.Q < q {
			continue
		}
		if i == 0 || known.Q == q {
			return known.V
		}
		before := d.Quantiles[i-1]
		return before.V + (known.V-before.V)*(q-before.Q)/(known.Q-before.Q)
	}
	return d.Max
}
