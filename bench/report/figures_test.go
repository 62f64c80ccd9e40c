package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/bench"
)

func TestASpreadIsTheMedianAndTheEnds(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
		ok     bool
	}{
		{nil, spread{}, false},
		{[]float64{math.NaN(), math.Inf(1)}, spread{}, false},
		{[]float64{3}, spread{3, 3, 3}, true},
		{[]float64{5, math.NaN(), 1}, spread{3, 1, 5}, true},
		{[]float64{9, 1, 2}, spread{2, 1, 9}, true},
	} {
		if got, ok := spreadOf(c.values); got != c.want || ok != c.ok {
			t.Errorf("spreadOf(%v) = %v, %v, want %v, %v", c.values, got, ok, c.want, c.ok)
		}
	}
}

func TestAQuantileBetweenTwoLiesOnTheLineThatIsDrawn(t *testing.T) {
	d := &bench.Distribution{Count: 1000, Max: 9, Quantiles: []bench.Quantile{{Q: 0, V: 1}, {Q: 0.9, V: 2}, {Q: 0.99, V: 4}, {Q: 0.999, V: 8}, {Q: 1, V: 9}}}
	for q, want := range map[float64]float64{
		0: 1, 0.9: 2, 0.99: 4, 1: 9,
		1 - math.Pow(10, -1.5): 2 * math.Sqrt2, // half of a decade from 90 % to 99 %, on log axes
		0.9995:                 9,              // before the last, which lies nowhere on that scale: the safe side
	} {
		if got, ok := quantile(d, q); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %g = %g, %v, want %g", q, got, ok, want)
		}
	}
	for _, empty := range []*bench.Distribution{nil, {}, {Count: 3}} {
		if _, ok := quantile(empty, 0.5); ok {
			t.Errorf("quantile of %v is something", empty)
		}
	}
}

func TestAnExperimentThatVariesNothingIsNoCurve(t *testing.T) {
	r := &bench.Report{Runs: []bench.Run{{Strategy: "s", Experiment: bench.RoundTrips, Holds: 1, Rate: 1}}}
	if len(newPage(r).Sections) != 0 {
		t.Error("one round trip is drawn as a curve")
	}
}

func TestAWaitCurveEndsWhereItsRunHasTooFewWaits(t *testing.T) {
	r := &bench.Report{Runs: []bench.Run{{Strategy: "s", Experiment: bench.Contenders, X: 64, Round: 1, Wait: bench.Distribution{
		Count: 100, Max: 3, Quantiles: []bench.Quantile{{Q: 0, V: 1}, {Q: 0.99, V: 2}, {Q: 0.9999, V: 3}, {Q: 1, V: 3}},
	}}}}
	c := newPage(r).waits()
	if last := c.Lines[0].X[len(c.Lines[0].X)-1]; math.Abs(last-100) > 1e-6 {
		t.Errorf("100 waits are drawn up to 1 in %g", last)
	}
}

func TestStrategiesAreComparedWhereTheyAllWereRun(t *testing.T) {
	r := &bench.Report{}
	for _, x := range []float64{1, 30, 120, 1024} {
		r.Runs = append(r.Runs, bench.Run{Strategy: "s", Experiment: bench.Contenders, X: x, Round: 1})
	}
	p := newPage(r)
	if len(p.hotRuns) != 1 || p.hotRuns[0].X != 120 {
		t.Errorf("compared at %v contenders, want 120: the nearest to 64 by ratio", p.hotRuns[0].X)
	}
}

func TestTicksLieOnTheirAxis(t *testing.T) {
	for _, values := range [][]float64{{3e-7, 40}, {1, 1e4}, {0.0002, 40}, {5, 5}, {9.99e5, 1.01e6}, {0, 2}, {}, {2e-9, 3e3}} {
		for _, a := range []axis{logAxis("", plain, values, across), linearAxis("", plain, values)} {
			labels := 0
			for _, tick := range a.Ticks {
				if tick.At < a.Min*0.998 || tick.At > a.Max*1.002 {
					t.Errorf("%v: the tick %g lies outside %g to %g", values, tick.At, a.Min, a.Max)
				}
				if tick.Text != "" {
					labels++
				}
			}
			if labels < 2 || labels > 9 {
				t.Errorf("%v: %d labels from %g to %g", values, labels, a.Min, a.Max)
			}
			for _, v := range values {
				if v > 0 && (v < a.Min*0.999 || v > a.Max*1.001) {
					t.Errorf("%g is outside %g to %g", v, a.Min, a.Max)
				}
			}
		}
	}
}

func TestZeroIsAtTheLeftEndOfALogAxis(t *testing.T) {
	a := logAxis("", plain, []float64{0, 0.1, 10}, across)
	for v, want := range map[float64]float64{0: 0, -1: 0, 0.1: 0, 1: 0.5, 10: 1, 1e9: 1} {
		if got := a.part(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("part(%g) = %g, want %g", v, got, want)
		}
	}
}

func TestFiguresAreWrittenWithThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1.234e-9: "1.23 ns", 999.6e-9: "1.00 µs", 0.0123456: "12.3 ms", 0.9996: "1.00 s", 59.96: "60.0 s", 1200: "20.0 min",
	} {
		if got := seconds(v); got != want {
			t.Errorf("seconds(%g) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		0: "0", 0.00021: "0.00021", 2: "2", 2.3: "2.30", 64: "64", 999.7: "1000", 1163: "1163", 22070: "22.1 k", 999_600: "1.00 M", 5.5e6: "5.50 M",
	} {
		if got := count(v); got != want {
			t.Errorf("count(%g) = %q, want %q", v, got, want)
		}
	}
}

func TestStripCountsARunAcrossLines(t *testing.T) {
	order := make([]int, 300)
	for i := range order {
		order[i] = i % 4
	}
	for i := 90; i < 115; i++ {
		order[i] = 7
	}
	if _, seen, streak := strip(order, 8); seen != 5 || streak != 25 {
		t.Errorf("seen %d, longest run %d, want 5 and 25", seen, streak)
	}
}

func TestNamesAreMovedApart(t *testing.T) {
	got := apart([]float64{100, 101, 102, 299}, 15, 62, 300)
	if want := []float64{100, 115, 130, 299}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	crowded := apart(slices.Repeat([]float64{300}, 40), 15, 0, 300)
	for i, y := range crowded {
		if y < -1e-9 || y > 300 || i > 0 && y <= crowded[i-1] {
			t.Fatalf("40 names at the lower end: %v", crowded)
		}
	}
}

func TestStrategiesKeepTheirGroup(t *testing.T) {
	for name, c := range map[string]struct {
		listed bench.Listed
		want   string
	}{
		"ours":   {bench.Listed{Name: "redis"}, "Turnstile"},
		"seed":   {bench.Listed{Name: "Pylock 1 s", Description: bench.Description{Peer: true, Place: bench.PlaceRedis}}, "Earlier loops"},
		"rival":  {bench.Listed{Name: "redsync", Description: bench.Description{Peer: true, Place: bench.PlaceRedis}}, "Other libraries"},
		"memory": {bench.Listed{Name: "moby/locker", Description: bench.Description{Peer: true, Place: bench.PlaceProcess}}, "In process"},
	} {
		if got := groups[groupOf(&c.listed)].Name; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestNoTwoOfManyStrategiesLookAlike(t *testing.T) {
	r := &bench.Report{}
	for i := range 60 {
		r.Strategies = append(r.Strategies, bench.Listed{Name: "s" + strconv.Itoa(i)})
	}
	seen := map[string]string{}
	for _, l := range looks(r) {
		look := palette[l.Colour].light + l.marker()
		if other := seen[look]; other != "" {
			t.Errorf("%s looks like %s", l.Name, other)
		}
		seen[look] = l.Name
	}
}

// WCAG 2.1 asks 3:1 of what is drawn, against the page's two backgrounds.
func TestColoursStandOutFromTheirBackground(t *testing.T) {
	style := asset("page.css")
	for _, c := range palette {
		for _, pair := range [][2]string{{c.light, "#ffffff"}, {c.dark, "#14171b"}} {
			colour, back := pair[0], pair[1]
			if !strings.Contains(style, "--back: "+strings.Replace(back, "#ffffff", "#fff", 1)) {
				t.Fatalf("the page's background is not %s", back)
			}
			a, b := luminance(colour), luminance(back)
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 3 {
				t.Errorf("%s on %s: %.2f to 1", colour, back, ratio)
			}
		}
	}
}

// Machado, Oliveira and Fernandes (2009): how severe protanopia and deuteranopia
// see linear RGB. Distances are OKLab's. Colours that come near each other are
// kept for strategies far apart in the list, which another dash tells apart.
func TestColoursStayApartForTheColourBlind(t *testing.T) {
	sights := [][3][3]float64{
		{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
		{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	}
	for i := range palette {
		for j := range i {
			for _, pair := range [][2]string{{palette[i].light, palette[j].light}, {palette[i].dark, palette[j].dark}} {
				for n, sight := range sights {
					a, b := oklab(seen(sight, linear(pair[0]))), oklab(seen(sight, linear(pair[1])))
					away := math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2])
					if near := i - j; near <= 4 && away < 0.04 || away < 0.018 {
						t.Errorf("sight %d: %s and %s, %d places apart, are %.3f apart", n, pair[0], pair[1], near, away)
					}
				}
			}
		}
	}
}

func linear(hex string) (out [3]float64) {
	for i := range out {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			panic(err)
		}
		v := float64(n) / 255
		if out[i] = v / 12.92; v > 0.04045 {
			out[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return out
}

func luminance(hex string) float64 {
	c := linear(hex)
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

func seen(sight [3][3]float64, c [3]float64) (out [3]float64) {
	for i, row := range sight {
		out[i] = min(max(row[0]*c[0]+row[1]*c[1]+row[2]*c[2], 0), 1)
	}
	return out
}

func oklab(c [3]float64) [3]float64 {
	l := math.Cbrt(0.4122214708*c[0] + 0.5363325363*c[1] + 0.0514459929*c[2])
	m := math.Cbrt(0.2119034982*c[0] + 0.6806995451*c[1] + 0.1073969566*c[2])
	s := math.Cbrt(0.0883024619*c[0] + 0.2817188376*c[1] + 0.6299787005*c[2])
	return [3]float64{
		0.2104542553*l + 0.793617785*m - 0.0040720468*s,
		1.9779984951*l - 2.428592205*m + 0.4505937099*s,
		0.0259040371*l + 0.7827717662*m - 0.808675766*s,
	}
}

func TestAVerdictIsSaidWhicheverWayItComesOut(t *testing.T) {
	run := func(name string, rate, late float64) bench.Run {
		return bench.Run{Strategy: name, Experiment: bench.Contenders, X: 64, Round: 1, Holds: 1, Rate: rate,
			Wait: bench.Distribution{Count: 100, Max: late, Quantiles: []bench.Quantile{{Q: 0, V: late}, {Q: 1, V: late}}}}
	}
	at := func(name, place string, peer bool) bench.Listed {
		return bench.Listed{Name: name, Description: bench.Description{Place: place, Peer: peer}}
	}
	r := &bench.Report{
		Strategies: []bench.Listed{
			at("ours", bench.PlaceRedis, false), at("fast", bench.PlaceRedis, true), at("fair", bench.PlaceRedis, true), at("broken", bench.PlaceRedis, true),
			at("memcached", bench.PlaceMemcached, false), at("sherlock", bench.PlaceMemcached, true),
			at("embedded", bench.PlaceEmbedded, false), at("mutex", bench.PlaceProcess, true), at("alone", bench.PlaceFile, false),
		},
		Runs: []bench.Run{
			run("ours", 1000, 0.5), run("fast", 100, 4), run("fair", 50, 2), run("broken", 9e9, 1e-9),
			run("memcached", 1000, 0.25), run("sherlock", 1050, 1),
			run("embedded", 1000, 0.25), run("mutex", 4000, 8), run("alone", 1, 1),
		},
		Failures: []bench.Failure{{Strategy: "broken"}},
	}
	got := newPage(r).verdicts()
	want := []string{
		"On Redis: “ours” does 1000 holds/s, 10.0 times the 100 of “fast”, the fastest of the others. Its p99 wait is 500 ms; the shortest of the others is 2.00 s (“fair”).",
		"On memcached: “memcached” does 1000 holds/s, about as many as “sherlock”, the fastest of the others (1050). Its p99 wait is 250 ms; the shortest of the others is 1.00 s (“sherlock”).",
		"In one process: “embedded” does 1000 holds/s; “mutex”, the fastest of the others, does 4000, which is 4.00 times as many. Its p99 wait is 250 ms; the shortest of the others is 8.00 s (“mutex”).",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
