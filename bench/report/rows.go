package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/bench"
)

// Rows is a chart of one row a strategy. It is a table, so that it prints, is
// read out, and fits a phone, and needs no script; uPlot has no axis of names.
type rows struct {
	ID     string
	Title  string // says what is better
	Note   string
	Values string // what stands at the right of each row
	Axis   *axis  // nil: the tracks need none
	Rows   []row
}

type row struct {
	*look
	Sub   string // what sets this row apart from others of the strategy
	Track template.HTML
	Value string
}

// Scale is the labels above the tracks. One that would run into the next on a
// phone, where a track is 350 px wide and a letter 7, is left out: from the end on,
// as the highest label says most.
func (r *rows) Scale() template.HTML {
	var b strings.Builder
	next := 2.0
	for _, t := range slices.Backward(r.Axis.Ticks) {
		part := r.Axis.part(t.At)
		width := 7.0 / 350 * float64(utf8.RuneCountInString(t.Text))
		from, anchor := part-width/2, "middle"
		if part < 0.04 {
			from, anchor = part, "start"
		} else if part > 0.96 {
			from, anchor = part-width, "end"
		}
		if t.Text == "" || from+width > next {
			continue
		}
		next = from - 0.01
		fmt.Fprintf(&b, `<text x="%s" y="12" text-anchor="%s">%s</text>`, percent(part), anchor, template.HTMLEscapeString(t.Text))
	}
	return template.HTML(b.String())
}

// A track is drawn in percent of its width, which the browser knows and we don't.
type track struct {
	strings.Builder
	axis *axis
	mark string // path
}

func percent(part float64) string { return fmt.Sprintf("%.2f%%", part*100) }

func newTrack(a *axis, l *look) *track {
	t := &track{axis: a, mark: l.marker()}
	for _, tick := range a.Ticks {
		class := "grid"
		if tick.Text == "" {
			class = "grid faint"
		}
		x := percent(a.part(tick.At))
		fmt.Fprintf(t, `<line class="%s" x1="%s" x2="%s" y1="0" y2="100%%"/>`, class, x, x)
	}
	return t
}

// bar covers from a to b, in the middle of the row: a spread, or a box.
func (t *track) bar(class string, a, b float64, height int) {
	from, to := t.axis.part(a), t.axis.part(b)
	fmt.Fprintf(t, `<rect class="%s" x="%s" width="%s" y="%d" height="%d"/>`, class, percent(from), percent(to-from), (trackHeight-height)/2, height)
}

// rule is an upright line across the row.
func (t *track) rule(class string, v float64, height int) {
	x := percent(t.axis.part(v))
	fmt.Fprintf(t, `<line class="%s" x1="%s" x2="%s" y1="%d" y2="%d"/>`, class, x, x, (trackHeight-height)/2, (trackHeight+height)/2)
}

// dot puts the strategy's marker; hollow for the second of two figures.
func (t *track) dot(v float64, hollow bool) {
	class := "dot"
	if hollow {
		class = "dot hollow"
	}
	fmt.Fprintf(t, `<svg x="%s" y="%d" overflow="visible"><path class="%s" d="%s"/></svg>`, percent(t.axis.part(v)), trackHeight/2, class, t.mark)
}

func (t *track) html() template.HTML { return template.HTML(t.String()) }

// trackHeight is that of a row's drawing in px; the page's style says the same.
const trackHeight = 26

// pairs is a chart with one or two figures a strategy on one axis, each with its
// spread over the runs. It is nil if no strategy has any.
func (p *page) pairs(r rows, runs func(strategy string) []*bench.Run, a func([]float64) axis, text func(float64) string, figures ...figure) *rows {
	type measured struct {
		*look
		spreads []spread
	}
	var all []measured
	var values []float64
	for _, l := range p.Looks {
		m := measured{look: l}
		for _, f := range figures {
			if s, ok := over(runs(l.Name), f); ok {
				m.spreads = append(m.spreads, s)
				values = append(values, s.Min, s.Max)
			}
		}
		if len(m.spreads) > 0 {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	scale := a(values)
	r.Axis = &scale
	for _, m := range all {
		t := newTrack(r.Axis, m.look)
		if len(m.spreads) == 2 {
			low, high := m.spreads[0].Mid, m.spreads[1].Mid
			t.bar("join", min(low, high), max(low, high), 2)
		}
		var texts []string
		for i, s := range m.spreads {
			t.bar("spread", s.Min, s.Max, 12)
			texts = append(texts, text(s.Mid))
			if i > 0 {
				t.dot(s.Mid, true)
			}
		}
		t.dot(m.spreads[0].Mid, false) // last, as it may lie on the other
		r.Rows = append(r.Rows, row{look: m.look, Track: t.html(), Value: strings.Join(texts, " · ")})
	}
	return &r
}

// starved is where contenders without a single hold are put on the log axis of
// shares: the fair share divided by it.
const starved = 0.01

// shares draws how the holds were spread over the contenders: a box for the
// middle half of them, a line from the least to the most served. The rounds'
// contenders are taken together, each against the fair share of its own round.
func (p *page) shares() *rows {
	r := &rows{
		ID: "shares", Title: "Each contender's holds against its fair share: closer to 1 × is better",
		Note:   "Box: the middle half of the contenders; line: the least to the most served; mark: the median. On the left edge: contenders that got (nearly) nothing.",
		Values: "least – most",
	}
	a := logAxis("share of holds, 1 × = fair (log)", func(v float64) string { return plain(v) + " ×" }, []float64{starved, 100}, across)
	a.Ticks[0].Text = "≈ 0"
	r.Axis = &a
	for _, l := range p.Looks {
		var shares []float64
		for _, run := range p.hot(l.Name) {
			total := 0.0
			for _, n := range run.PerContender {
				total += float64(n)
			}
			for _, n := range run.PerContender {
				if total > 0 {
					shares = append(shares, float64(n)*float64(len(run.PerContender))/total)
				}
			}
		}
		if len(shares) == 0 {
			continue
		}
		slices.Sort(shares)
		least, most := shares[0], shares[len(shares)-1]
		t := newTrack(r.Axis, l)
		t.rule("fair", 1, trackHeight)
		t.bar("join", least, most, 2)
		t.rule("end", least, 10)
		t.rule("end", most, 10)
		t.bar("box", at(shares, 0.25), at(shares, 0.75), 14)
		t.dot(at(shares, 0.5), false)
		r.Rows = append(r.Rows, row{look: l, Track: t.html(), Value: digits(least) + " – " + digits(most) + " ×"})
	}
	if len(r.Rows) == 0 {
		return nil
	}
	return r
}

// recovery draws every measured recovery, and the lease that the killed holder had.
func (p *page) recovery() *rows {
	r := &rows{
		ID: "recovery", Title: "From a holder's SIGKILL to the next grant: lower is better",
		Note:   "Each mark is one kill, the filled one their median. The bar ends at the lease that the holder had: a lock that only waits for the expiry lands at its end or beyond.",
		Values: "median",
	}
	leases := p.xs(bench.Recovery)
	if len(leases) == 1 {
		r.Note = fmt.Sprintf("Each mark is one kill, the filled one their median. The bar ends at the lease that the holder had, %s: a lock that only waits for the expiry lands there or beyond.", tickSeconds(leases[0]))
	}
	var values []float64
	values = append(values, leases...)
	for _, run := range p.byExperiment[bench.Recovery] {
		values = append(values, run.Recovery...)
	}
	if len(values) == len(leases) { // none was measured
		return nil
	}
	a := linearAxis("from SIGKILL to the next grant", tickSeconds, values)
	if low := slices.Min(values); slices.Max(values) > 30*max(low, 1e-9) {
		a = logAxis("from SIGKILL to the next grant (log)", tickSeconds, values, across)
	}
	r.Axis = &a
	for _, l := range p.Looks {
		for _, lease := range leases {
			if one, ok := p.recovered(l, lease, r.Axis); ok {
				if len(leases) > 1 {
					one.Sub = "lease " + tickSeconds(lease)
				}
				r.Rows = append(r.Rows, one)
			}
		}
	}
	return r
}

func (p *page) recovered(l *look, lease float64, a *axis) (row, bool) {
	var took []float64
	for _, run := range p.rounds(bench.Recovery, l.Name, lease) {
		took = append(took, run.Recovery...)
	}
	s, ok := spreadOf(took)
	if !ok {
		return row{}, false
	}
	t := newTrack(a, l)
	t.bar("lease", a.Min, lease, 12)
	t.rule("leaseend", lease, 20)
	for _, v := range took {
		t.dot(v, true)
	}
	t.dot(s.Mid, false)
	return row{look: l, Track: t.html(), Value: seconds(s.Mid)}, true
}

// strips draws who got the last grants of a round: a cell a grant, its colour
// the contender. A hundred cells a line, so that a phone shows them.
func (p *page) strips() *rows {
	r := &rows{
		ID: "order", Title: "Who got the last 300 grants: an even pattern is better",
		Note:   "One cell a grant, left to right and then down; the colour is the contender's number. A lock that goes round its waiters repeats one pattern; a block of one colour is one contender that took the key again and again.",
		Values: "contenders seen · longest run of one",
	}
	for _, l := range p.Looks {
		for _, run := range p.hot(l.Name) {
			if len(run.Order) == 0 {
				continue
			}
			order := run.Order[max(0, len(run.Order)-300):]
			track, seen, streak := strip(order, max(run.Workload.Contenders(), slices.Max(order)+1))
			r.Rows = append(r.Rows, row{look: l, Track: track, Value: fmt.Sprintf("%d · %d", seen, streak)})
			break // one round's order; a median of orders is none
		}
	}
	if len(r.Rows) == 0 {
		return nil
	}
	return r
}

// strip merges equal neighbours into one rectangle.
func strip(order []int, contenders int) (drawn template.HTML, seen, streak int) {
	const perLine, height = 100, 8
	var b strings.Builder
	all := map[int]bool{}
	run := 0
	for i := 0; i < len(order); {
		n := 1
		for i+n < len(order) && order[i+n] == order[i] && (i+n)%perLine != 0 {
			n++
		}
		fmt.Fprintf(&b, `<rect x="%d%%" width="%.1f%%" y="%d" height="%d" fill="%s"/>`,
			i%perLine, float64(n)+0.1, i/perLine*(height+1), height, ramp(float64(order[i])/float64(max(contenders-1, 1))))
		all[order[i]] = true
		if i > 0 && order[i] == order[i-1] { // a run that goes on in the next line
			run += n
		} else {
			run = n
		}
		streak = max(streak, run)
		i += n
	}
	return template.HTML(b.String()), len(all), streak
}

// ramp is viridis, which rises evenly in lightness for every kind of sight.
func ramp(part float64) string {
	stops := [...][3]float64{{68, 1, 84}, {72, 40, 120}, {62, 74, 137}, {49, 104, 142}, {38, 130, 142}, {31, 158, 137}, {53, 183, 121}, {109, 205, 89}, {180, 222, 44}, {253, 231, 37}}
	place := min(max(part, 0), 1) * float64(len(stops)-1)
	i := min(int(place), len(stops)-2)
	var c [3]int
	for j := range c {
		c[j] = int(stops[i][j] + (place-float64(i))*(stops[i+1][j]-stops[i][j]))
	}
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

// byX is the order of runs for everything that is drawn.
func byX(a, b *bench.Run) int {
	return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Round, b.Round))
}
