package keyspace

import (
	"math"
	"strconv"
	"strings"
)

// parseInt reads an integer as Redis's string2ll does: no plus, no space, no
// leading zeros, no "-0".
func parseInt(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && s != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// addInt adds, and says whether it fits.
func addInt(a, b int64) (int64, bool) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		return 0, false
	}
	return a + b, true
}

// parseFloat reads a score: what C's strtod takes, but no NaN and no space
// around it.
func parseFloat(s string) (float64, bool) {
	if n, ok := parseInt(s); ok && n > -1<<53 && n < 1<<53 {
		return float64(n), true
	}
	if strings.ContainsAny(s, "_ \t\n\v\f\r") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f)
}

// FormatFloat writes a number as Redis 6.2 and 7.0 do: printf's %.17g.
func FormatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e15 && (f != 0 || !math.Signbit(f)):
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

// A bound is one end of a range of scores: "5", "(5", "-inf".
type bound struct {
	score float64
	open  bool
}

func parseBound(s string) (bound, bool) {
	rest, open := strings.CutPrefix(s, "(")
	f, ok := parseFloat(rest)
	return bound{f, open}, ok
}

func parseRange(low, high string) (from, to bound, ok bool) {
	from, fromOK := parseBound(low)
	to, toOK := parseBound(high)
	return from, to, fromOK && toOK
}

func (b bound) below(score float64) bool { return b.score < score || b.score == score && !b.open }
func (b bound) above(score float64) bool { return b.score > score || b.score == score && !b.open }

// clip turns Redis's indices, which count from the end when negative, into a
// slice's bounds.
func clip(start, stop int64, n int) (int, int) {
	size := int64(n)
	if start < 0 {
		start = max(0, start+size)
	}
	if stop < 0 {
		stop += size
	}
	stop = min(stop, size-1)
	if start > stop {
		return 0, 0
	}
	return int(start), int(stop) + 1
}
