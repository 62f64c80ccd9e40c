package report

import (
	"math"
	"slices"
	"strconv"

	"github.com/turnstile-go/turnstile/bench"
)

// A chart has curves: one a strategy, its median as a line and its spread over
// the rounds as a band. Its JSON is what the page's script hands to uPlot.
type chart struct {
	ID    string `json:"id"`
	Title string `json:"title"` // says what is better
	Note  string `json:"-"`
	X     axis   `json:"x"`
	Y     axis   `json:"y"`
	Lines []line `json:"lines"`
	// Percentile: x is 1/(1-q), and only round percentiles get markers.
	Percentile bool   `json:"percentile"`
	Small      bool   `json:"small"` // may stand beside another one
	Table      *table `json:"-"`     // its figures as text
}

// A line's slices are of one length.
type line struct {
	Look int       `json:"look"` // index
	X    []float64 `json:"x"`
	Mid  []float64 `json:"mid"`
	Min  []float64 `json:"min"`
	Max  []float64 `json:"max"`
	Text []string  `json:"text"` // each point in words, for the reader who points at it
}

func (l *line) add(x float64, s spread) {
	l.X, l.Mid, l.Min, l.Max = append(l.X, x), append(l.Mid, s.Mid), append(l.Min, s.Min), append(l.Max, s.Max)
}

// A figure is read from a run; false: it has none.
type figure func(*bench.Run) (float64, bool)

// lines draws one figure of an experiment against its X.
func (p *page) lines(experiment string, f figure) []line {
	var all []line
	for i, l := range p.Looks {
		one := line{Look: i}
		for _, x := range p.xs(experiment) {
			if s, ok := over(p.rounds(experiment, l.Name, x), f); ok {
				one.add(x, s)
			}
		}
		if len(one.X) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// values of lines: what their axis must span.
func values(lines []line) (ys []float64) {
	for _, l := range lines {
		ys = append(append(append(ys, l.Mid...), l.Min...), l.Max...)
	}
	return ys
}

// curves is a chart of a figure against an experiment's X, nil if nothing was
// measured or X was not varied. The caller sets what is special about it.
func (p *page) curves(id, experiment, title string, f figure, x, y string, yText, yTick func(float64) string) *chart {
	xs, lines := p.xs(experiment), p.lines(experiment, f)
	if len(lines) == 0 || len(xs) < 2 {
		return nil
	}
	c := &chart{ID: id, Title: title, Lines: lines, Y: logAxis(y, yTick, values(lines), upwards)}
	switch experiment {
	case bench.RoundTrips: // starts at 0, which has no place on a log axis
		c.X = linearAxis(x, tickSeconds, xs)
	case bench.Processes:
		c.X = linearAxis(x, roundCount, xs)
		c.X.Ticks = nil
		for _, v := range xs {
			c.X.Ticks = append(c.X.Ticks, tick{At: v, Text: plain(v)})
		}
		margin := xs[len(xs)-1] * 0.03 // the ends' marks lie off the frame
		c.X.Min, c.X.Max = xs[0]-margin, xs[len(xs)-1]+margin
	default:
		c.X = logAxis(x, roundCount, xs, across)
		c.X.Min, c.X.Max = xs[0], xs[len(xs)-1]
		c.X.Ticks = slices.DeleteFunc(c.X.Ticks, func(t tick) bool { return t.At < c.X.Min*0.999 || t.At > c.X.Max*1.001 })
	}
	c.Table = p.tableOf(c, xText(experiment), yText)
	return c
}

// xText writes an experiment's X.
func xText(experiment string) func(float64) string {
	switch experiment {
	case bench.RoundTrips, bench.Recovery:
		return seconds
	}
	return func(v float64) string {
		if v < 10_000 {
			return plain(v)
		}
		return roundCount(v)
	}
}

// tableOf writes a chart's figures out, and each point's words.
func (p *page) tableOf(c *chart, x, y func(float64) string) *table {
	var xs []float64
	for i := range c.Lines {
		l := &c.Lines[i]
		xs = append(xs, l.X...)
		for j, v := range l.X {
			said := cellOf(spread{l.Mid[j], l.Min[j], l.Max[j]}, y)
			if said.Range != "" {
				said.Mid += " (" + said.Range + ")"
			}
			l.Text = append(l.Text, x(v)+": "+said.Mid)
		}
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	t := &table{First: "Strategy"}
	for _, v := range xs {
		t.Columns = append(t.Columns, column{Text: x(v)})
	}
	for _, l := range c.Lines {
		r := tableRow{Look: p.Looks[l.Look]}
		for _, v := range xs {
			if i := slices.Index(l.X, v); i >= 0 {
				r.Cells = append(r.Cells, cellOf(spread{l.Mid[i], l.Min[i], l.Max[i]}, y))
			} else {
				r.Cells = append(r.Cells, cell{})
			}
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// percentiles are the steps at which wait times are drawn: twelve to a decade of
// 1/(1-q), and the round percentiles among them.
func percentiles() (qs []float64) {
	for i := range 6*12 + 1 {
		qs = append(qs, 1-math.Pow(10, -float64(i)/12))
	}
	qs = append(qs, 0.5)
	slices.Sort(qs)
	return qs
}

// roundPercentiles are those that have a marker and a row in the table.
var roundPercentiles = []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999}

// waits draws the waits of the runs that all strategies have in common. A curve
// ends where a run has fewer waits than it takes to know the percentile.
func (p *page) waits() *chart {
	var lines []line
	highest := 10.0
	for i, l := range p.Looks {
		rounds := p.hot(l.Name)
		one := line{Look: i}
		for _, q := range percentiles() {
			x := 1 / (1 - q)
			s, ok := over(rounds, func(r *bench.Run) (float64, bool) {
				v, ok := quantile(&r.Wait, q)
				return v, ok && float64(r.Wait.Count) >= x*0.999
			})
			if ok {
				one.add(x, s)
				highest = max(highest, x)
			}
		}
		if len(one.X) > 0 {
			lines = append(lines, one)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	c := &chart{
		ID: "waits", Title: "Wait from call to grant, by percentile: lower is better", Percentile: true,
		Note:  "Each step to the right is ten times rarer: at 99 %, one wait in a hundred is longer. A curve that climbs steeply at the end serves most callers well and some very late.",
		Lines: lines, X: percentileAxis(highest), Y: logAxis("wait (log)", tickSeconds, values(lines), upwards),
	}
	p.tableOf(c, percentileText, seconds) // for the points' words: as a table it would be too long
	named := *c
	named.Lines = nil
	for _, l := range lines {
		some := line{Look: l.Look}
		for _, q := range roundPercentiles {
			if i := slices.IndexFunc(l.X, func(x float64) bool { return math.Abs(x*(1-q)-1) < 1e-6 }); i >= 0 {
				some.add(1/(1-q), spread{l.Mid[i], l.Min[i], l.Max[i]})
			}
		}
		named.Lines = append(named.Lines, some)
	}
	c.Table = p.tableOf(&named, percentileText, seconds)
	return c
}

func percentileText(x float64) string {
	return strconv.FormatFloat(math.Round((1-1/x)*1e7)/1e5, 'f', -1, 64) + " %"
}
