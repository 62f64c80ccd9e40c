package keyspace

import (
	"errors"
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

// strtod reads a number as C does, without the space that C allows before it.
// exact is false where C sets ERANGE.
func strtod(s string) (f float64, exact, ok bool) {
	lower := strings.ToLower(s)
	if strings.ContainsAny(lower, "_ \t\n\v\f\r") {
		return 0, false, false
	}
	if strings.Contains(lower, "0x") && !strings.Contains(lower, "p") {
		lower += "p0" // Go wants the exponent that C doesn't
	}
	f, err := strconv.ParseFloat(lower, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return f, false, true
	case err != nil || math.IsNaN(f):
		return 0, false, false
	}
	// What is too small to tell from zero is out of range to C, not to Go.
	mantissa, _, _ := strings.Cut(lower, "e")
	return f, f != 0 || !strings.ContainsAny(mantissa, "123456789"), true
}

// parseFloat reads a score: no NaN, no space, and nothing out of range.
func parseFloat(s string) (float64, bool) {
	if n, ok := parseInt(s); ok && n > -1<<53 && n < 1<<53 {
		return float64(n), true
	}
	f, exact, ok := strtod(s)
	return f, ok && exact
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

// parseBound is laxer than parseFloat, as Redis is: space may stand before the
// number, nothing at all is 0, and what is out of range is an end of it.
func parseBound(s string) (bound, bool) {
	rest, open := strings.CutPrefix(s, "(")
	if rest == "" {
		return bound{open: open}, true
	}
	f, _, ok := strtod(strings.TrimLeft(rest, " \t\n\v\f\r"))
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
