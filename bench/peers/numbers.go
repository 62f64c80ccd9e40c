package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

// The durations of `make numbers`: long enough for a ratio of the same rounds to be
// stable, and 6 minutes in all on two cores.
const (
	numbersRounds   = 5
	numbersDuration = 700 * time.Millisecond
	numbersWarmup   = 200 * time.Millisecond
)

// forNumbers are the flags' defaults with -numbers; a flag that was given stays.
func (o *options) forNumbers(flags *flag.FlagSet) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["rounds"] {
		o.rounds = numbersRounds
	}
	if !given["duration"] {
		o.duration = numbersDuration
	}
	if !given["warmup"] {
		o.warmup = numbersWarmup
	}
	if !given["experiments"] {
		o.experiments = ""
	}
}

// judged keeps in each row the strategies that a goal is about: ours, and the rivals
// it is compared with. own keeps ours only.
func judged(all []row, own bool) []row {
	kept := slices.DeleteFunc(slices.Clone(all), func(r row) bool { return len(r.reaches) == 0 }) // only shown
	for i, r := range kept {
		kept[i].strategies = slices.DeleteFunc(slices.Clone(r.strategies), func(s string) bool {
			isOurs := strings.HasPrefix(s, "turnstile-")
			return own && !isOurs || !slices.ContainsFunc(r.reaches, func(to reach) bool {
				return to.of == s || to.against == s || to.against == bestPeer && slices.Contains(redisPeers, s)
			})
		})
	}
	return kept
}

// writeNumbers writes a line for each goal: ours, the rival's
// in the same rounds, their ratio with its spread, the goal, and whether it is met.
func writeNumbers(w io.Writer, r *bench.Report) error {
	e := r.Environment
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s, %d CPUs (%s), load %s\n", e.Go, e.Platform, e.CPUs, e.CPU, strings.Join(e.Load, " before, ")+" after")
	for _, f := range r.Failures {
		fmt.Fprintf(&text, "FAILED: %s, %s, round %d: %s: %s\n", f.Strategy, f.Experiment, f.Round, f.Kind, f.What)
	}
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	put := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) } // buffered until Flush, into a Builder
	for _, row := range rows() {
		rounds := figuresOf(r, row)
		if len(rounds) == 0 {
			continue
		}
		put("")
		put(row.name+": "+row.title, "ours", "rival", "", "", "ratio", "rounds", "goal")
		for _, to := range row.reaches {
			v := to.judge(rounds)
			put(v.line()...)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := writeMemory(&text); err != nil {
		return err
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// line is a verdict as a row of the table.
func (v verdict) line() []string {
	figure := "  " + v.of + ", " + v.column.name
	if v.against == "" {
		return []string{figure, v.column.text(v.Median), "", "", "", "", v.column.text(v.Min) + " to " + v.column.text(v.Max), v.to(), v.word()}
	}
	rival := v.against
	if v.best != "" {
		rival = v.best
	}
	return []string{
		figure, v.column.text(v.own.Median), rival, v.column.text(v.rivals.Median), "",
		v.text(v.Median), v.text(v.Min) + " to " + v.text(v.Max), v.to(), v.word(),
	}
}
