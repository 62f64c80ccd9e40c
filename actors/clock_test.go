package actors

import (
	"testing"
	"time"
)

// TestClockTakesTheEarlierOfTwoClocks plays suspend and steps of the wall clock.
func TestClockTakesTheEarlierOfTwoClocks(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name            string
		monotonic, wall []time.Duration
		want            []time.Duration
	}{
		{"in step", []time.Duration{1 * s, 2 * s}, []time.Duration{1 * s, 2 * s}, []time.Duration{1 * s, 2 * s}},
		{"suspended for a minute", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, 62 * s, 63 * s}, []time.Duration{1 * s, 62 * s, 63 * s}},
		{"set back", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{1 * s, -58 * s, -57 * s}, []time.Duration{1 * s, 2 * s, 3 * s}},
		{"set forward, then back", []time.Duration{1 * s, 2 * s, 3 * s}, []time.Duration{11 * s, 2 * s, 3 * s}, []time.Duration{11 * s, 12 * s, 13 * s}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var clock clock
			for i := range c.want {
				if got := clock.at(c.monotonic[i], c.wall[i]) - 1; time.Duration(got) != c.want[i] {
					t.Errorf("after %v and %v: %v, want %v", c.monotonic[i], c.wall[i], time.Duration(got), c.want[i])
				}
			}
		})
	}
}
