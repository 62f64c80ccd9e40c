package kinds

import "testing"

// A crew is a number of goroutines of one process that take the key again and again, and give it back after a while.
type crew struct {
	session int
	kind    kind
	n       int
	each    int   // how many goroutines
	lasts   int64 // a hold

	s       *session
	callers []*caller
	until   map[*caller]int64
	longest int64 // that one waited
}

// acts lets those that are done go, and come again at once.
func (c *crew) acts() {
	left := c.callers[:0]
	for _, h := range c.callers {
		until, known := c.until[h]
		switch {
		case h.hold == nil:
			c.longest = max(c.longest, c.s.now()-h.came)
		case !known:
			c.until[h] = c.s.now() + c.lasts
		case c.s.now() >= until:
			delete(c.until, h)
			c.s.done(h)
			continue
		}
		left = append(left, h)
	}
	c.callers = left
	for len(c.callers) < c.each {
		c.callers = append(c.callers, c.s.arrive(c.kind, c.n))
	}
}

// A schedule has the crews of up to four processes.
type schedule struct {
	name  string
	bound int64 // ms that a caller waits at most, with each message
	lossy int64 // and if each third is lost
	crews []crew
}

const lasting = int64(30) // ms

// A turn lasts a Tenure and the holds that are under way then, 50 ms in all, and a message takes 5. Where a message may
// be lost, a turn may take a heartbeat more.
var schedules = []schedule{
	{"a writer under 64 readers", 100, 400, []crew{
		{session: 0, kind: exclusive, each: 1, lasts: lasting},
		{session: 1, kind: shared, each: 64, lasts: lasting},
		{session: 2, kind: shared, each: 64, lasts: lasting},
	}},
	{"a writer among 64 readers of its process", 100, 400, []crew{
		{session: 0, kind: exclusive, each: 1, lasts: lasting},
		{session: 0, kind: shared, each: 64, lasts: lasting},
		{session: 1, kind: shared, each: 64, lasts: lasting},
	}},
	{"a reader under writers", 500, 1500, []crew{
		{session: 0, kind: shared, each: 1, lasts: lasting},
		{session: 1, kind: exclusive, each: 4, lasts: lasting},
		{session: 2, kind: exclusive, each: 4, lasts: lasting},
	}},
	{"slots of three processes", 500, 2000, []crew{
		{session: 0, kind: slots, n: 3, each: 8, lasts: lasting},
		{session: 1, kind: slots, n: 3, each: 8, lasts: lasting},
		{session: 2, kind: slots, n: 3, each: 8, lasts: lasting},
	}},
	{"one of two under many of five", 250, 1000, []crew{
		{session: 0, kind: slots, n: 2, each: 1, lasts: lasting},
		{session: 1, kind: slots, n: 5, each: 8, lasts: lasting},
		{session: 2, kind: slots, n: 5, each: 8, lasts: lasting},
	}},
	{"a long hold, and one that waits behind it in its process", 500, 2000, []crew{
		{session: 0, kind: slots, n: 3, each: 1, lasts: 20 * second},
		{session: 0, kind: slots, n: 3, each: 1, lasts: lasting},
		{session: 1, kind: slots, n: 3, each: 8, lasts: lasting},
		{session: 2, kind: slots, n: 3, each: 8, lasts: lasting},
	}},
	{"a long reader, and a writer behind it in its process", 1100, 2000, []crew{
		{session: 0, kind: shared, each: 1, lasts: second},
		{session: 0, kind: exclusive, each: 1, lasts: lasting},
		{session: 1, kind: shared, each: 8, lasts: lasting},
		{session: 2, kind: shared, each: 8, lasts: lasting},
	}},
	{"all kinds", 500, 2000, []crew{
		{session: 0, kind: slots, n: 2, each: 2, lasts: lasting},
		{session: 0, kind: exclusive, each: 1, lasts: lasting},
		{session: 1, kind: shared, each: 8, lasts: lasting},
		{session: 2, kind: exclusive, each: 2, lasts: lasting},
		{session: 3, kind: slots, n: 5, each: 8, lasts: lasting},
	}},
}

// TestNobodyStarves runs processes whose callers never pause, in virtual time.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	for _, sch := range schedules {
		t.Run(sch.name, func(t *testing.T) {
			t.Parallel()
			sch.run(t, false, sch.bound)
			sch.run(t, true, sch.lossy)
		})
	}
}

func (sch *schedule) run(t *testing.T, lossy bool, bound int64) {
	t.Helper()
	const tick, length = 5, 20 * second
	p := newPlay(everyRule, 4, 0)
	p.lossy = lossy
	var crews []*crew
	for _, c := range sch.crews {
		c.s, c.until = p.sessions[c.session], map[*caller]int64{}
		crews = append(crews, &c)
	}
	for p.store.real < start+length {
		p.tick(tick)
		for _, c := range crews {
			c.acts()
		}
	}
	for i, c := range crews {
		if c.longest > bound {
			t.Errorf("messages lost: %v: one of crew %d (%s) waited for %d ms, bound %d", lossy, i, c.kind, c.longest, bound)
		}
	}
	for _, b := range p.watch.broken {
		t.Error(b)
	}
}
