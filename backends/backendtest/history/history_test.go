package history

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

// alone, reads and slot are holds from a grant to an end. They asked just before that.
func alone(fence uint64, from, to int64) Hold {
	return Hold{Fence: fence, Asked: from - 1, Granted: from, Ended: to}
}

func reads(fence uint64, from, to int64) Hold {
	h := alone(fence, from, to)
	h.Kind = backends.Shared
	return h
}

func slot(n int, from, to int64) Hold {
	return Hold{Kind: backends.Slots, N: n, Asked: from - 1, Granted: from, Ended: to}
}

func TestOverlapsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []Hold
		bad  bool
	}{
		{"one after the other", []Hold{alone(0, 10, 20), alone(0, 20, 30), reads(0, 30, 40), slot(1, 40, 50)}, false},
		{"two alone", []Hold{alone(0, 10, 20), alone(0, 19, 30)}, true},
		{"one within another, which was noted later", []Hold{alone(0, 12, 13), alone(0, 10, 20)}, true},
		{"readers together", []Hold{reads(0, 10, 20), reads(0, 12, 30), reads(0, 10, 11)}, false},
		{"alone beside a reader", []Hold{reads(0, 10, 20), reads(0, 11, 40), alone(0, 30, 50)}, true},
		{"a reader beside one alone", []Hold{alone(0, 10, 20), reads(0, 19, 21)}, true},
		{"a slot beside a reader", []Hold{reads(0, 10, 20), slot(9, 19, 21)}, true},
		{"a moment beside one alone", []Hold{alone(0, 10, 20), reads(0, 15, 15)}, true},
		{"as many as fit", []Hold{slot(2, 10, 20), slot(2, 11, 30), slot(2, 20, 40)}, false},
		{"three of two", []Hold{slot(2, 10, 20), slot(2, 11, 30), slot(2, 19, 40)}, true},
		{"five, then one that says two while one is there", []Hold{slot(5, 10, 20), slot(5, 10, 20), slot(5, 10, 20), slot(5, 10, 30), slot(2, 20, 40)}, false},
		{"two that say five beside two that say two", []Hold{slot(2, 10, 20), slot(2, 10, 20), slot(5, 11, 20), slot(5, 11, 20)}, false},
		{"one that says five too many", []Hold{slot(2, 10, 20), slot(5, 10, 20), slot(5, 11, 20), slot(5, 11, 20), slot(5, 11, 20), slot(5, 11, 20)}, true},
		{"one that says one beside another that does", []Hold{slot(7, 10, 20), slot(1, 11, 20), slot(1, 12, 20)}, true},
		{"one that was never granted", []Hold{alone(0, 10, 20), {Asked: 12, Ended: 15}}, false},
	} {
		if err := Overlaps(c.all, nil); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	forgiven := func(before, h Hold) bool { return before.Granted == 10 && h.Granted == 15 }
	if err := Overlaps([]Hold{alone(0, 10, 20), alone(0, 15, 30)}, forgiven); err != nil {
		t.Errorf("excused: %v", err)
	}
	if err := Overlaps([]Hold{alone(0, 10, 20), alone(0, 15, 30), alone(0, 16, 17)}, forgiven); err == nil {
		t.Error("another one is not excused, and not found")
	}
}

// TestOverlapsAsBySight compares with what each instant shows.
func TestOverlapsAsBySight(t *testing.T) {
	t.Parallel()
	found := 0
	rapid.Check(t, func(rt *rapid.T) {
		all := make([]Hold, rapid.IntRange(0, 8).Draw(rt, "holds"))
		for i := range all {
			from := rapid.Int64Range(1, 20).Draw(rt, "from")
			all[i] = Hold{
				Kind: rapid.SampledFrom([]backends.Kind{backends.Exclusive, backends.Shared, backends.Slots, backends.Slots, backends.Slots}).Draw(rt, "kind"),
				N:    rapid.IntRange(1, 4).Draw(rt, "n"), Granted: from, Ended: from + rapid.Int64Range(1, 10).Draw(rt, "length"),
			}
		}
		want := false
		for now := int64(1); now < 31; now++ {
			var there []Hold
			for _, h := range all {
				if h.Granted <= now && now < h.Ended {
					there = append(there, h)
				}
			}
			want = want || wrong(there)
		}
		if err := Overlaps(all, nil); (err != nil) != want {
			rt.Fatalf("%v, want a breach: %v", err, want)
		}
		if want {
			found++
		}
	})
	if found == 0 {
		t.Error("nothing was wrong in any: the test shows little")
	}
}

// wrong reports whether these must not be there together.
func wrong(there []Hold) bool {
	for _, h := range there {
		n := 0
		for _, o := range there {
			if o.Kind != h.Kind || h.Kind == backends.Exclusive && len(there) > 1 {
				return true
			}
			if o.N <= h.N {
				n++
			}
		}
		if h.Kind == backends.Slots && n > h.N {
			return true
		}
	}
	return false
}

func TestFencesOutOfOrderAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []Hold
		bad  bool
	}{
		{"in order", []Hold{alone(1, 10, 20), alone(2, 20, 30), reads(4, 30, 40), reads(3, 31, 40), alone(5, 40, 50)}, false},
		{"the same twice", []Hold{alone(1, 10, 20), alone(1, 20, 30)}, true},
		{"back", []Hold{alone(2, 10, 20), alone(1, 20, 30)}, true},
		{"a reader below one alone before it", []Hold{alone(5, 10, 20), reads(4, 20, 30)}, true},
		{"one alone below a reader before it", []Hold{reads(3, 10, 20), reads(6, 11, 20), reads(4, 12, 20), alone(5, 20, 30)}, true},
		{"readers with one fence in a process", []Hold{reads(3, 10, 20), reads(3, 11, 20)}, true},
		{"readers with one fence in two", []Hold{reads(3, 10, 20), {Process: 1, Kind: backends.Shared, Fence: 3, Granted: 11, Ended: 20}}, false},
		{"unknown ones", []Hold{alone(5, 10, 20), alone(0, 20, 30), alone(6, 30, 40)}, false},
	} {
		if err := Fences(c.all); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestThoseThatOvertakeAreFound(t *testing.T) {
	at := func(process int, asked, granted int64) Hold {
		return Hold{Process: process, Asked: asked, Granted: granted, Ended: granted + 1}
	}
	nested := at(0, 10, 12)
	nested.Nested = true
	for _, c := range []struct {
		name string
		all  []Hold
		bad  bool
	}{
		{"in order", []Hold{at(0, 1, 10), at(0, 2, 20), at(1, 3, 30)}, false},
		{"another way round in one process", []Hold{at(0, 1, 30), at(0, 10, 20)}, true},
		{"the same, by no more than can be known", []Hold{at(0, 1, 22), at(0, 10, 20)}, false},
		{"past one that gave up", []Hold{{Asked: 1, Ended: 40}, at(0, 10, 20)}, true},
		{"past one that had given up", []Hold{{Asked: 1, Ended: 20}, at(0, 10, 20)}, false},
		{"nested", []Hold{at(0, 1, 50), nested}, false},
		{"one turn of another process", []Hold{at(0, 1, 500), at(1, 10, 100), at(1, 20, 110), at(1, 30, 119)}, false},
		{"two of them", []Hold{at(0, 1, 500), at(1, 10, 100), at(1, 30, 200)}, false},
		{"three of them", []Hold{at(0, 1, 500), at(1, 10, 100), at(1, 30, 200), at(1, 40, 300)}, true},
		{"each of another process", []Hold{at(0, 1, 500), at(1, 10, 100), at(2, 30, 200), at(3, 40, 300)}, false},
		{"for one that gave up", []Hold{{Asked: 1, Ended: 500}, at(1, 10, 100), at(1, 30, 200), at(1, 40, 300)}, true},
		{"of callers that came first", []Hold{at(0, 60, 500), at(1, 10, 100), at(1, 30, 200), at(1, 40, 300)}, false},
		{"a turn of its own in between", []Hold{at(0, 1, 150), at(0, 2, 500), at(1, 10, 100), at(1, 30, 200), at(1, 160, 300)}, false},
	} {
		if err := Order(c.all, Limits{Slack: 5, Turn: 20}); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A clerk serves callers as a lock should: all in one line, and those at its head that fit together.
type clerk struct {
	now   int64
	fence uint64
	line  []Hold
	there []Hold
	all   []Hold
}

func (c *clerk) serve() {
	c.there = slices.DeleteFunc(c.there, func(h Hold) bool { return h.Ended <= c.now })
	for len(c.line) > 0 {
		h := c.line[0]
		if wrong(append(slices.Clone(c.there), h)) {
			return
		}
		c.line, c.fence = c.line[1:], c.fence+1
		h.Granted, h.Fence = c.now, c.fence
		h.Ended += c.now
		c.there, c.all = append(c.there, h), append(c.all, h)
	}
}

// TestMillionsOfInstants is 200 000 holds of all kinds: by a sound lock, and each time with one of them spoilt.
func TestMillionsOfInstants(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	c := clerk{now: 1}
	for len(c.all) < 200_000 {
		if c.now++; len(c.line) < 30 {
			kind := backends.Kind(random.IntN(3))
			c.line = append(c.line, Hold{Process: random.IntN(4), Kind: kind, N: 1 + random.IntN(4), Asked: c.now, Ended: 1 + random.Int64N(12)})
		}
		c.serve()
	}
	if err := Overlaps(c.all, nil); err != nil {
		t.Errorf("sound, and %v", err)
	}
	if err := Fences(c.all); err != nil {
		t.Errorf("sound, and %v", err)
	}
	if err := Order(c.all, Limits{Turn: time.Nanosecond}); err != nil {
		t.Errorf("sound, and %v", err)
	}
	for name, spoil := range map[string]func(all []Hold, i int){
		"OVERLAP": func(all []Hold, i int) { all[i].Kind, all[i].Ended = backends.Exclusive, all[i].Ended+100 },
		"FENCE":   func(all []Hold, i int) { all[i].Kind, all[i].Fence = backends.Exclusive, all[i-50].Fence },
		"ORDER":   func(all []Hold, i int) { all[i].Granted += 1000; all[i].Ended += 1000 },
	} {
		all := slices.Clone(c.all)
		spoil(all, 100_000+random.IntN(1000))
		err := map[string]func() error{
			"OVERLAP": func() error { return Overlaps(all, nil) },
			"FENCE":   func() error { return Fences(all) },
			"ORDER":   func() error { return Order(all, Limits{Turn: time.Nanosecond}) },
		}[name]()
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("spoilt, and %v, want %s", err, name)
		}
	}
}
