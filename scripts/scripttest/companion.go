package scripttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/scripts"
)

// columns is the companion, taken apart. All are "" if it is not there; a lease that is nobody's is "".
func (l *lock) columns() map[string]string {
	l.Helper()
	c, _ := l.do("GET", l.keys[companion]).(string)
	if c == "" {
		return nil
	}
	if len(c) < 67 {
		l.Fatalf("the companion is %q", c)
	}
	return map[string]string{
		"version": c[:1], "state": c[1:2], "last": c[2:18], "first": strings.TrimPrefix(c[18:35], "+"),
		"lease": strings.TrimSpace(c[35:67]), "label": c[67:],
	}
}

// column holds one of them against a field.
func (l *lock) column(name string, field any) {
	l.Helper()
	line, err := compare([]any{l.columns()[name]}, []any{field})
	if err != nil {
		l.Fatalf("%s: %v", name, err)
	}
	l.lines = append(l.lines, name+" "+line)
}

// ahead makes a companion whose last base is so many µs ahead of the clock, as a clock that stepped back leaves it,
// and returns that base.
func (l *lock) ahead(us int64) int64 {
	l.Helper()
	last := l.now() + us
	l.do("SET", l.keys[companion], fmt.Sprintf("20%016d+%016d%32s", last, last, ""), "PX", strconv.FormatInt(us/1000+60_000, 10))
	return last
}

// quiet takes off a reply what it says of the key, and holds that against what the next call of the fast script
// would find.
func (l *lock) quiet(s *scripts.Script, reply any) (rest any, line string) {
	l.Helper()
	fields, _ := reply.([]any)
	at := len(fields) - 1
	switch {
	case s == scripts.AcquireShare && len(fields) == 7:
		at = 4
	case s == scripts.ReleaseShare:
	case s == scripts.Release || s == scripts.Rest || s == scripts.Cancel:
	case s == scripts.Acquire && len(fields) > 0 && fields[0] == int64(1):
	default:
		return reply, ""
	}
	if len(fields) < 2 {
		l.Fatalf("%s replied %v, which does not say whether the key is quiet", s.Name, reply)
	}
	c := l.columns()
	want := int64(0)
	if last, _ := strconv.ParseInt(c["last"], 10, 64); c == nil || c["state"] == "0" && last < l.now() && c["first"][0] != '-' {
		want = 1
	}
	if got := fields[at]; got != want {
		l.Fatalf("%s replied %v; quiet: want %d, as the companion is %v", s.Name, reply, want, c)
	}
	return slices.Delete(slices.Clone(fields), at, at+1), fmt.Sprintf(" quiet %d", want)
}

// checkState holds the state column against what there is to remember: it is the scripts' promise to the fast one.
func (l *lock) checkState(s *scripts.Script) {
	l.Helper()
	if s == scripts.Inspect || s == scripts.InspectShares {
		return // it only reads
	}
	c := l.columns()
	kept := l.do("EXISTS", l.keys[more], l.keys[queue], l.keys[alive])
	switch {
	case c == nil && kept != int64(0):
		l.Errorf("after %s there is no companion, beside %v of more, queue and alive", s.Name, kept)
	case c["state"] == "0" && kept != int64(0):
		l.Errorf("after %s the state is 0, beside %v of more, queue and alive", s.Name, kept)
	case c["state"] == "1":
		ends := number(l, l.do("PTTL", l.keys[companion]))
		for _, i := range []int{more, queue, alive} {
			if other := number(l, l.do("PTTL", l.keys[i])); ends < other-shortest/1000 {
				l.Errorf("after %s the companion ends in %d ms, %q in %d", s.Name, ends, l.keys[i], other)
			}
		}
	}
}

// waiters takes the list of those that wait off inspect's reply, and holds its length against their number. Behind the
// first hundred of the queue they are only counted.
func (l *lock) waiters(reply any) (rest any) {
	l.Helper()
	fields, _ := reply.([]any)
	if len(fields) != 9 {
		l.Fatalf("inspect replied %v", reply)
	}
	list, ok := fields[8].([]any)
	named, waiting := int64(len(list)/4), number(l, fields[5])
	if !ok || len(list)%4 != 0 || named != waiting && (waiting < 100 || named > 100) {
		l.Fatalf("inspect replied %v: %v wait", reply, fields[5])
	}
	for w := range slices.Chunk(list, 4) {
		line, err := compare(w, []any{w[0], moments, w[2], w[3]})
		_, isText := w[0].(string)
		kind, _ := w[2].(string)
		if n, isNumber := w[3].(int64); err != nil || !isText || !isNumber || !slices.Contains([]string{"x", "s", "p"}, kind) || (n > 0) != (kind == "p") {
			l.Fatalf("inspect has %v for a waiter: %v", w, err)
		}
		l.lines = append(l.lines, "waits "+line)
	}
	return fields[:8]
}
