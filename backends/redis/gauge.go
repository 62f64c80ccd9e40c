package redis

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// quickMost is the longest round trip after which a caller may wait for its own.
	quickMost = backends.AloneBudget / 10
	// slowFor is how long nobody does so after one that was longer.
	slowFor = time.Second
)

// A gauge says whether the caller of a started call may wait for its round trip itself.
//
// It gives up after AloneBudget, and the driver then ends the connection, whose server may
// have answered a moment later: the lease is in doubt, and the next call dials. So it
// must be a rare accident. That asks for two things. The last round trip was quick, however
// long ago that is: on a way of 220 ms nobody ever goes alone, also not after an hour
// without a call. And none of the last second was slow: on a way that stalls now and
// then, one caller in a second runs into it at most.
//
// It is protected by its batcher's mu.
type gauge struct {
	last bool      // the last round trip was quick
	slow time.Time // when one was not; zero: none yet
}

func (g *gauge) quick() bool {
	return g.last && (g.slow.IsZero() || time.Since(g.slow) >= slowFor)
}

// note takes a round trip. One that failed quickly says nothing.
func (g *gauge) note(took time.Duration, answered bool) {
	switch {
	case took >= quickMost:
		g.last, g.slow = false, time.Now()
	case answered:
		g.last = true
	}
}
