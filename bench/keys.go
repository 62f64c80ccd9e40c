package bench

import (
	"math/rand/v2"
	"strconv"
)

// keyNames are made once: formatting a name would cost more than a handoff. They
// share one string, so that a million cost their letters and 16 bytes each.
func keyNames(run string, n int) []string {
	text := make([]byte, 0, n*(len(run)+8))
	ends := make([]int, n)
	for i := range n {
		text = append(append(text, run...), ':')
		text = strconv.AppendInt(text, int64(i), 10)
		ends[i] = len(text)
	}
	all, names, begin := string(text), make([]string, n), 0
	for i, end := range ends {
		names[i], begin = all[begin:end], end
	}
	return names
}

// A chooser is one contender's own source of what is random.
type chooser struct {
	rng  *rand.Rand
	zipf *rand.Zipf // nil: uniform
	keys int
	skip uint32 // calls of one that are false yet
}

// newChooser is seeded by the contender's number: the strategies that are
// compared meet the same keys in the same order, in every round.
func newChooser(w Workload, contender int) chooser {
	c := chooser{rng: rand.New(rand.NewPCG(uint64(contender), 0x7475726e7374696c)), keys: w.Keys}
	if w.Zipf != 0 && w.Keys > 1 {
		c.zipf = rand.NewZipf(c.rng, w.Zipf, 1, uint64(w.Keys-1))
	}
	return c
}

func (c *chooser) key() int {
	switch {
	case c.keys == 1:
		return 0
	case c.zipf != nil:
		return int(c.zipf.Uint64())
	default:
		return c.rng.IntN(c.keys)
	}
}

// one is true once in 2^shift calls on average, at random: every so many would
// keep in step with whatever repeats itself in a strategy.
func (c *chooser) one(shift uint32) bool {
	if shift == 0 {
		return true
	}
	if c.skip > 0 {
		c.skip--
		return false
	}
	c.skip = c.rng.Uint32N(2<<shift - 1) // 2^shift - 1 on average
	return true
}
