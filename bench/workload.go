package bench

import "time"

// A Workload is what every strategy does in turn. Durations are ns in JSON.
type Workload struct {
	Name string `json:"name"`

	Goroutines int `json:"goroutines"` // of each process
	// Processes is how many share the work; 0 and 1 are the bench's own.
	Processes int `json:"processes,omitempty"`

	Keys int `json:"keys"`
	// Zipf, if not 0, is the exponent s > 1 by which low-numbered keys are more
	// frequent: P(k) ∝ (1+k)^-s. 0: uniform.
	Zipf float64 `json:"zipf,omitempty"`

	// Shared is the part of the holds that are shared, of strategies that have such; 0 to 1.
	Shared float64 `json:"shared,omitempty"`
	// Slots, if not 0, makes each hold one of so many at a time, of strategies that have such.
	Slots int `json:"slots,omitempty"`

	Hold  time.Duration `json:"hold,omitempty"`  // inside the section; 0: empty
	Think time.Duration `json:"think,omitempty"` // between a release and the next acquire, closed loop

	// Rate, if not 0, opens the loop: so many holds a second are planned over all
	// goroutines, whether or not the last came in time, and a wait counts from the
	// planned start. 0: closed loop.
	Rate float64 `json:"rate,omitempty"`

	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"` // measured, after the warm-up

	// RoundTrip is added between a strategy and its server, by a proxy.
	RoundTrip time.Duration `json:"round_trip,omitempty"`
}

// Contenders are all processes' goroutines.
func (w Workload) Contenders() int { return w.Goroutines * max(w.Processes, 1) }
