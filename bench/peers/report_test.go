package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func TestJudge(t *testing.T) {
	rounds := []map[string]figures{
		{turnstile: {holdsRate: 300, waitP99: 1}, peerBSM: {holdsRate: 10, waitP99: 5}, peerRueidis: {holdsRate: 30, waitP99: 4}},
		{turnstile: {holdsRate: 500, waitP99: 1}, peerBSM: {holdsRate: 10, waitP99: 8}, peerRueidis: {holdsRate: 20, waitP99: 2}},
		{turnstile: {holdsRate: 400, waitP99: 1}, peerBSM: {holdsRate: 99}, peerRueidis: {holdsRate: 20, waitP99: 4}},
	}
	for name, c := range map[string]struct {
		r      reach
		median float64
		best   string
		met    bool
	}{
		// The best peer is each round's own: 300/30, 500/20, 400/99.
		"fast enough":            {reach{of: turnstile, column: holdsRate, atLeast: 10, against: bestPeer}, 10, peerRueidis, true},
		"not fast enough":        {reach{of: turnstile, column: holdsRate, atLeast: 10.1, against: bestPeer}, 10, peerRueidis, false},
		"short enough":           {reach{of: turnstile, column: waitP99, atMost: 0.25, against: bestPeer}, 0.25, peerRueidis, true},
		"too long":               {reach{of: turnstile, column: waitP99, atMost: 0.2, against: bestPeer}, 0.25, peerRueidis, false},
		"without a rival":        {reach{of: turnstile, column: holdsRate, atLeast: 400}, 400, "", true},
		"against one by name":    {reach{of: turnstile, column: holdsRate, atLeast: 20, against: peerRueidis}, 20, peerRueidis, true},
		"nothing was measured":   {reach{of: lingering, column: holdsRate, atMost: 1}, 0, "", false},
		"nobody to compare":      {reach{of: turnstile, column: holdsRate, atMost: 1, against: rawCeiling}, 0, "", false},
		"a peer is not measured": {reach{of: turnstile, column: waitP99, atMost: 1, against: peerBSM}, (0.2 + 0.125) / 2, peerBSM, true},
	} {
		got := c.r.judge(rounds)
		if math.Abs(got.Median-c.median) > 1e-9 || got.Best != c.best || got.Met != c.met {
			t.Errorf("%s: %+v, want median %v, best %q, met %v", name, got, c.median, c.best, c.met)
		}
	}
}

func TestAFailureStandsInTheTable(t *testing.T) {
	w := workloads()[0]
	rounds := []map[string]figures{{turnstile: {holdsRate: 1234}}}
	var out strings.Builder
	if err := newTable(w, rounds, []error{errors.New("round 1: OVERLAP")}).print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED: round 1: OVERLAP", "1234", "short turnstile, holds/s ÷ best peer"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestJainIndex(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{5, 5, 5, 5}, 1}, {[]float64{8, 0, 0, 0}, 0.25}, {nil, 0}, {[]float64{0, 0}, 0}} {
		if got := jainIndex(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestMedianAndQuantile(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{9, 1, 5, 6}); got != 5.5 {
		t.Errorf("median of four: %v", got)
	}
	samples := []time.Duration{4, 1, 3, 2}
	if got := quantile(samples, 0.5); got != 3 {
		t.Errorf("p50: %v", got)
	}
	if got := quantile(samples, 1); got != 4 {
		t.Errorf("p100: %v", got)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("p50 of nothing: %v", got)
	}
}

func TestCells(t *testing.T) {
	for _, c := range []struct {
		column string
		value  float64
		want   string
	}{
		{holdsRate, 123456.7, "123457"}, {holdsRate, 12.345, "12.3"}, {jain, 0.98765, "0.988"}, {requests, 0.001234, "0.00123"},
		{requests, 0, "0"}, {waitP99, 0.0123456, "12.3ms"}, {acquireP50, 45.678e-6, "45.7µs"}, {waitMax, 2, "2s"},
	} {
		if got := cellText(c.column, c.value, true); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.column, c.value, got, c.want)
		}
	}
	if got := cellText(jain, 1, false); got != "-" {
		t.Errorf("unknown: %q", got)
	}
}

func TestCommandCounts(t *testing.T) {
	counts, err := commandCounts("# Commandstats\r\ncmdstat_get:calls=21,usec=1,usec_per_call=0.1\r\ncmdstat_client|setinfo:calls=2,usec=1\r\n")
	if err != nil || len(counts) != 2 || counts["get"] != 21 || counts["client|setinfo"] != 2 {
		t.Errorf("%v, %v", counts, err)
	}
	if _, err := commandCounts("cmdstat_get:calls=x,usec=1\r\n"); err == nil {
		t.Error("a number that is none was taken")
	}
	m := meter{
		before: map[string]int64{"evalsha": 10, "get": 10, "info": 1},
		after:  map[string]int64{"evalsha": 15, "get": 20, "publish": 3, "info": 9},
	}
	if sent, executed := m.counts([]string{"get"}); sent != 8 || executed != 18 {
		t.Errorf("sent %d, executed %d; want 8 and 18", sent, executed)
	}
}

// The digits are patched into requests that were built once; what travels has
// to be what a request with that token would be.
func TestABatchIsNumberedLikeTokens(t *testing.T) {
	session := backends.NewSession()
	b := newBatch([]string{"key7", "key8"}, session)
	b.number(123_456_789_012)
	for i, text := range []string{string(b.acquires), string(b.releases)} {
		for n := uint64(123_456_789_012); n < 123_456_789_014; n++ {
			if strings.Count(text, session.Token(n).Wire()) != 1 {
				t.Errorf("half %d: no token %d", i, n)
			}
		}
	}
}
