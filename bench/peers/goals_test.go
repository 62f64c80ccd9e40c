package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/bench"
)

// The goals that the docs list are those that `make numbers` holds us to.
func TestTheDocsListTheGoals(t *testing.T) {
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Goals\n")
	section, _, _ = strings.Cut(section, "\n## ")

	var want []string
	for _, r := range rows() {
		for _, to := range r.reaches {
			figure := to.column.name
			if to.against != "" {
				figure += " ÷ " + to.against
			}
			want = append(want, fmt.Sprintf("| %s | %s | %s | %s |", r.title, to.of, figure, verdict{reach: to}.to()))
		}
	}
	for _, name := range memoryNames() {
		if f := footprints[name]; f.goal > 0 {
			want = append(want, fmt.Sprintf("| %s | memory | bytes | ≤ %s |", f.title, bench.Number(f.goal)))
		}
	}
	for _, line := range want {
		if !strings.Contains(section, line+"\n") {
			t.Errorf("docs/benchmarks.md has no line\n%s", line)
		}
	}
	if listed := strings.Count(section, "\n| ") - 1; listed != len(want) { // one is the heading
		t.Errorf("docs/benchmarks.md lists %d goals, there are %d", listed, len(want))
	}
}
