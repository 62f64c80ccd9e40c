package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report for a terminal: failures first, then a table for
// each point of each experiment, medians over the rounds with their span.
func (r *Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	for _, f := range r.Failures {
		fmt.Fprintf(&text, "FAILED: %s, %s %s, round %d: %s: %s\n", f.Strategy, f.Experiment, Number(f.X), f.Round, f.Kind, f.What)
	}
	if r.Cut {
		text.WriteString("Broken off: not all that was planned was measured.\n")
	}
	rows := r.Rows()
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Experiment == rows[0].Experiment && rows[n].X == rows[0].X {
			n++
		}
		writePoint(&text, rows[:n])
		rows = rows[n:]
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("bench: table: %w", err)
	}
	return nil
}

// writePoint leaves out the columns that nobody has a figure for.
func writePoint(text *strings.Builder, rows []*Row) {
	fmt.Fprintf(text, "\n%s\n\n", title(rows[0]))
	shown := slices.DeleteFunc(columns(), func(c column) bool {
		return !slices.ContainsFunc(rows, func(r *Row) bool { return r.Over(c.of).N > 0 })
	})
	t := tabwriter.NewWriter(text, 0, 0, 3, ' ', tabwriter.AlignRight)
	cells := []string{""}
	for _, c := range shown {
		cells = append(cells, c.title)
	}
	line := func() { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") } // buffered until Flush, into a Builder
	line()
	for _, row := range rows {
		cells = []string{"  " + row.Strategy}
		for _, c := range shown {
			cells = append(cells, c.text(row.Over(c.of)))
		}
		line()
	}
	_ = t.Flush() // a Builder takes everything
}

// title says what the point is.
func title(r *Row) string {
	w := r.Runs[0].Workload
	processes := ""
	if w.Processes > 1 {
		processes = fmt.Sprintf("%d processes of ", w.Processes)
	}
	name := r.Experiment
	if name != Custom { // nothing varies in it
		name += " " + Number(r.X)
	}
	t := fmt.Sprintf("%s: %s%s, %s", name, processes, count(w.Goroutines, "goroutine"), count(w.Keys, "key"))
	for _, part := range []struct {
		what string
		d    time.Duration
	}{{"held for", w.Hold}, {"thinking for", w.Think}, {"round trip +", w.RoundTrip}} {
		if part.d > 0 {
			t += fmt.Sprintf(", %s %v", part.what, part.d)
		}
	}
	if w.Shared > 0 {
		t += fmt.Sprintf(", %s %% of the holds shared", Number(100*w.Shared))
	}
	if w.Slots > 0 {
		t += fmt.Sprintf(", %d at a time", w.Slots)
	}
	if w.Zipf > 0 {
		t += fmt.Sprintf(", Zipf %v", w.Zipf)
	}
	if w.Rate > 0 {
		t += fmt.Sprintf(", %s holds/s planned", Number(w.Rate))
	}
	return t + ", " + count(len(r.Runs), "round")
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (c column) text(s Spread) string {
	show := Number
	if c.time {
		show = Seconds
	}
	switch {
	case s.N == 0:
		return "-"
	case s.N == 1 || !c.spread:
		return show(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", show(s.Median), show(s.Min), show(s.Max))
}

// Seconds shows a time with three digits and its unit.
func Seconds(v float64) string {
	d := time.Duration(v * 1e9)
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// Number keeps three significant digits, and all of those before the point.
func Number(v float64) string {
	switch {
	case v == 0 || math.Abs(v) >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), v)
	}
}
