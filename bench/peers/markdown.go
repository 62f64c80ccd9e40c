package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/turnstile-go/turnstile/bench"
)

// markdown prints the tables for a README from a report's JSON.
func markdown(path string, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it was read only
	report, err := bench.ReadReport(f)
	if err != nil {
		return err
	}
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s is not to be shown: %w", path, err)
	}
	return writeMarkdown(w, report)
}

// writeMarkdown writes two tables: the figures of all strategies, with a row a
// workload and a column a strategy; and our figures beside the goals.
func writeMarkdown(w io.Writer, report *bench.Report) error {
	var text strings.Builder
	shown := shownIn(report)
	line(&text, append([]string{"", ""}, shown...))
	line(&text, append([]string{"---", "---"}, slices.Repeat([]string{"--:"}, len(shown))...))
	for _, r := range rows() {
		rounds, first := figuresOf(report, r), r.title
		for _, c := range r.shown {
			cells := []string{first, c.name}
			for _, s := range shown {
				cell := ""
				if spread := rounds.spread(s, c); spread.N > 0 {
					cell = thousands(c.text(spread.Median))
				}
				cells = append(cells, cell)
			}
			if len(rounds) > 0 {
				line(&text, cells)
				first = ""
			}
		}
	}
	text.WriteString("\n")
	line(&text, []string{"workload", "", "measured", "rounds", "to reach", ""})
	line(&text, []string{"---", "---", "--:", "--:", "--:", "---"})
	for _, r := range rows() {
		rounds, first := figuresOf(report, r), r.title
		for _, to := range r.reaches {
			if v := to.judge(rounds); v.N > 0 {
				line(&text, []string{first, v.what(), v.text(v.Median), v.text(v.Min) + " – " + v.text(v.Max), v.to(), v.word()})
				first = ""
			}
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// shownIn are the strategies of the rows that were measured, as the report has them
// in order. Yardsticks are no columns: they stand in the ratios.
func shownIn(report *bench.Report) []string {
	var shown []string
	for _, s := range report.Strategies {
		if slices.ContainsFunc(yardsticks(0), func(y bench.Strategy) bool { return y.Name() == s.Name }) {
			continue
		}
		for _, r := range rows() {
			if slices.Contains(r.strategies, s.Name) && figuresOf(report, r).spread(s.Name, r.shown[0]).N > 0 {
				shown = append(shown, s.Name)
				break
			}
		}
	}
	return shown
}

func line(text *strings.Builder, cells []string) {
	fmt.Fprintf(text, "| %s |\n", strings.Join(cells, " | "))
}

// thousands sets the digits of a whole number apart: 1 234 567.
func thousands(s string) string {
	if strings.Trim(s, "0123456789") != "" {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
