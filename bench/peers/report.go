package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// bestPeer as reach.against is the best of the other libraries in that column.
const bestPeer = "best peer"

// A reach is a figure that the design names: exactly one of atLeast and atMost
// is set. Without against it is a bound of the figure itself.
type reach struct {
	of, column      string
	against         string
	atLeast, atMost float64
}

// A result is a reach as it was measured.
type result struct {
	Of, Column, Against string
	Bound               string  // as the design has it
	Median, Min, Max    float64 // over the rounds
	Best                string  `json:",omitempty"` // which peer was the best most often
	Met                 bool
}

// A table is a workload's part of the report.
type table struct {
	Name, Title string
	Columns     []string
	Strategies  []string
	Medians     map[string]figures   // by strategy
	Rounds      []map[string]figures // as measured, so that a reader can judge the spread
	Results     []result
	Failures    []string `json:",omitempty"`
}

// newTable sums rounds up. Medians, because one round that a neighbour on the
// machine disturbed would spoil a mean.
func newTable(w *workload, rounds []map[string]figures, failures []error) *table {
	t := &table{Name: w.name, Title: w.title, Columns: w.columns, Strategies: w.strategies, Rounds: rounds, Medians: map[string]figures{}}
	for _, name := range w.strategies {
		row := figures{}
		for _, c := range w.columns {
			var values []float64
			for _, r := range rounds {
				if v, ok := r[name][c]; ok {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				row[c] = median(values)
			}
		}
		t.Medians[name] = row
	}
	for _, r := range w.reaches {
		t.Results = append(t.Results, r.judge(rounds))
	}
	for _, err := range failures {
		t.Failures = append(t.Failures, strings.Split(err.Error(), "\n")...)
	}
	return t
}

// judge compares within each round, and then takes the median of what it found.
func (r reach) judge(rounds []map[string]figures) result {
	out := result{Of: r.of, Column: r.column, Against: r.against, Bound: fmt.Sprintf("≥ %g", r.atLeast)}
	if r.atMost > 0 {
		out.Bound = fmt.Sprintf("≤ %g", r.atMost)
	}
	var values []float64
	wins := map[string]int{}
	// A round in which either side has no figure is left out: it stands among
	// the failures already.
	for _, rows := range rounds {
		v, ok := rows[r.of][r.column]
		if !ok {
			continue
		}
		if r.against != "" {
			rival, other := r.rival(rows)
			if other == 0 {
				continue
			}
			wins[rival]++
			v /= other
			if wins[rival] > wins[out.Best] || out.Best == "" {
				out.Best = rival
			}
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return out // nothing was measured: not met
	}
	out.Median, out.Min, out.Max = median(values), slices.Min(values), slices.Max(values)
	out.Met = r.atMost > 0 && out.Median <= r.atMost || r.atLeast > 0 && out.Median >= r.atLeast
	return out
}

// rival is who a round's figure is compared with; the best peer is the one
// whose figure is hardest to beat.
func (r reach) rival(rows map[string]figures) (name string, value float64) {
	if r.against != bestPeer {
		return r.against, rows[r.against][r.column]
	}
	for _, s := range strategies {
		v := rows[s.name][r.column]
		if !s.peer || v == 0 {
			continue
		}
		if name == "" || r.atMost > 0 && v < value || r.atMost == 0 && v > value {
			name, value = s.name, v
		}
	}
	return name, value
}

// median leaves its argument as it is.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// jainIndex is (Σx)² / (n·Σx²): 1 when all got the same, 1/n when one got all.
// Source: Jain, Chiu, Hawe, DEC-TR-301, 1984.
func jainIndex(values []float64) float64 {
	sum, squares := sumOf(values), 0.0
	for _, v := range values {
		squares += v * v
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(values)) * squares)
}

// print writes the table for a reader.
func (t *table) print(out io.Writer) error {
	fmt.Fprintf(out, "\n%s: %s\n\n", t.Name, t.Title) //nolint:errcheck // the last write's error is returned
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "  \t%s\t\n", strings.Join(t.Columns, "\t")) //nolint:errcheck // buffered until Flush
	for _, name := range t.Strategies {
		cells := []string{"  " + name}
		for _, c := range t.Columns {
			v, ok := t.Medians[name][c]
			cells = append(cells, cellText(c, v, ok))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") //nolint:errcheck // buffered until Flush
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out) //nolint:errcheck // the last write's error is returned
	for _, r := range t.Results {
		fmt.Fprintln(out, "  "+r.String()) //nolint:errcheck // the last write's error is returned
	}
	for _, f := range t.Failures {
		fmt.Fprintln(out, "  FAILED: "+f) //nolint:errcheck // the last write's error is returned
	}
	_, err := fmt.Fprintln(out)
	return err
}

// String is a line of the report: what was reached, how far the rounds lie
// apart, and what the design wants.
func (r result) String() string {
	verdict := "short"
	if r.Met {
		verdict = "met"
	}
	what := r.Of + ", " + r.Column
	unit := ""
	if r.Against != "" {
		what += " ÷ " + r.Against
		unit = " ×"
		if r.Best != r.Against {
			what += " (" + r.Best + ")"
		}
	}
	return fmt.Sprintf("%-5s %s: %s%s (rounds %s to %s), to reach %s%s",
		verdict, what, number(r.Median), unit, number(r.Min), number(r.Max), r.Bound, unit)
}

// cellText is a figure in its column's unit; times are kept in seconds.
func cellText(column string, v float64, known bool) string {
	switch {
	case !known:
		return "-"
	case strings.HasPrefix(column, "p50"), strings.HasPrefix(column, "p99"), strings.HasPrefix(column, "max"):
		return roundDuration(time.Duration(v * float64(time.Second))).String()
	default:
		return number(v)
	}
}

// roundDuration keeps three digits.
func roundDuration(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// number keeps three significant digits, and all of those before the point.
func number(v float64) string {
	if v == 0 || math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(math.Abs(v))))), v)
}

// writeJSON writes the whole report as one object.
func writeJSON(out io.Writer, r *report) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
