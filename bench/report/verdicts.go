package report

import (
	"fmt"

	"github.com/turnstile-go/turnstile/bench"
)

// verdicts says in a sentence a place how the best of ours compares there with the
// best of the others, whichever way it comes out. In this process's memory there
// is none of ours: embedded, which comes nearest, stands against what is there.
func (p *page) verdicts() (out []string) {
	for _, place := range []struct{ theirs, ours, where string }{
		{bench.PlaceRedis, bench.PlaceRedis, "On Redis"},
		{bench.PlaceMemcached, bench.PlaceMemcached, "On memcached"},
		{bench.PlaceEtcd, bench.PlaceEtcd, "On etcd"},
		{bench.PlaceFile, bench.PlaceFile, "On files"},
		{bench.PlaceEmbedded, bench.PlaceEmbedded, "On the embedded engine"},
		{bench.PlaceProcess, bench.PlaceEmbedded, "In one process"},
	} {
		mine := func(l *look) bool { return l.Place == place.ours && l.Group == 0 }
		theirs := func(l *look) bool { return l.Place == place.theirs && l.Group != 0 }
		a, fast, ok := p.best(mine, rate, true)
		b, rival, found := p.best(theirs, rate, true)
		if !ok || !found {
			continue
		}
		said := place.where + ": " + compared(a.Name, b.Name, fast, rival)
		late, ok := over(p.hot(a.Name), wait(0.99))
		c, least, found := p.best(theirs, wait(0.99), false)
		if ok && found && late.Mid > 0 && least > 0 {
			said += fmt.Sprintf(" Its p99 wait is %s; the shortest of the others is %s (“%s”).", seconds(late.Mid), seconds(least), c.Name)
		}
		out = append(out, said)
	}
	return out
}

// best finds the strategy with the highest or lowest median. One that failed, or
// that promises no exclusion, is not in the race.
func (p *page) best(among func(*look) bool, f figure, highest bool) (winner *look, value float64, ok bool) {
	for _, l := range p.Looks {
		if l.Failed || l.Unsafe || !among(l) {
			continue
		}
		s, measured := over(p.hot(l.Name), f)
		if measured && (!ok || highest && s.Mid > value || !highest && s.Mid < value) {
			winner, value, ok = l, s.Mid, true
		}
	}
	return winner, value, ok
}

// alike is how far apart two rates may be and still count as equal: rounds of one
// strategy differ by as much.
const alike = 1.1

// compared says how our number of holds compares with that of the fastest rival. A
// ratio is never below one: nobody reads "0.074 times as many" as 13 times slower.
func compared(ours, other string, fast, rival float64) string {
	switch {
	case fast >= rival*alike:
		return fmt.Sprintf("“%s” does %s holds/s, %s times the %s of “%s”, the fastest of the others.",
			ours, count(fast), digits(fast/rival), count(rival), other)
	case rival >= fast*alike:
		return fmt.Sprintf("“%s” does %s holds/s; “%s”, the fastest of the others, does %s, which is %s times as many.",
			ours, count(fast), other, count(rival), digits(rival/fast))
	}
	return fmt.Sprintf("“%s” does %s holds/s, about as many as “%s”, the fastest of the others (%s).",
		ours, count(fast), other, count(rival))
}
