package scripttest

import (
	"fmt"
	"strconv"
	"strings"
)

// A field of an expected reply is a plain value, compared with its type, or a
// check of what can't be foretold.
type check struct {
	name string // stands for the value in the transcript
	ok   func(v any) error
}

// ms is a whole number of ms, from above low to high.
func ms(low, high int64) check {
	return check{"ms", func(v any) error {
		if n, ok := v.(int64); !ok || n <= low || n > high {
			return fmt.Errorf("%v (%T) is not within (%d, %d] ms", v, v, low, high)
		}
		return nil
	}}
}

// moments is how long a thing has lasted that has just begun.
var moments = ms(-1, 10_000)

// mint is a fence base above the one in *last, which it replaces: µs, in
// digits alone, and exact in a double.
func mint(last *string) check {
	return check{"base", func(v any) error {
		s, ok := v.(string)
		n, err := strconv.ParseInt(s, 10, 64)
		if !ok || err != nil || strconv.FormatInt(n, 10) != s || n >= 1<<53 {
			return fmt.Errorf("%v (%T) is no fence base", v, v)
		}
		if before, err := strconv.ParseInt(*last, 10, 64); *last != "" && (err != nil || n <= before) {
			return fmt.Errorf("base %d after %s", n, *last)
		}
		*last = s
		return nil
	}}
}

// fresh is any fence base.
func fresh() check { return mint(new(string)) }

// masked is a value that another run has otherwise, as one with a time in it.
func masked(want string) check {
	return check{"value", func(v any) error {
		if v != want {
			return fmt.Errorf("%v (%T), want %q", v, v, want)
		}
		return nil
	}}
}

// compare holds a reply against the fields expected of it, and masks it for
// the transcript.
func compare(got any, want []any) (string, error) {
	list, ok := got.([]any)
	if !ok {
		return "", fmt.Errorf("it is a %T, no array", got)
	}
	if len(list) != len(want) {
		return "", fmt.Errorf("%d fields, want %d", len(list), len(want))
	}
	masked := make([]string, len(list))
	for i, v := range list {
		switch w := want[i].(type) {
		case check:
			if err := w.ok(v); err != nil {
				return "", fmt.Errorf("field %d: %w", i+1, err)
			}
			masked[i] = fmt.Sprintf("%T:%s", v, w.name)
			continue
		case int:
			if v != int64(w) {
				return "", fmt.Errorf("field %d is %v (%T), want %d", i+1, v, v, w)
			}
		default:
			if v != w {
				return "", fmt.Errorf("field %d is %v (%T), want %v (%T)", i+1, v, v, w, w)
			}
		}
		masked[i] = fmt.Sprintf("%T:%v", v, v)
		if isBase(v) {
			masked[i] = fmt.Sprintf("%T:base", v) // known to this case, but another run's
		}
	}
	return strings.Join(masked, " "), nil
}

// isBase: 16 digits are a time in µs, until 2286.
func isBase(v any) bool {
	s, ok := v.(string)
	return ok && len(s) == 16 && strings.Trim(s, "0123456789") == ""
}

// number reads an integer that came as one or as its digits.
func number(l *lock, v any) int64 {
	l.Helper()
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		l.T.Fatal(err)
	}
	return n
}
