package scripttest

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// sharesTelling are the verbs of shares that may have something to tell, and sharesMost how many sessions more than
// messagesMost they tell at most.
var sharesTelling = []*scripts.Script{scripts.AcquireShare, scripts.RenewShare, scripts.ReleaseShare, scripts.RevokeShares}

const sharesMost = 2 * 64

// A wish is what an attempt wants.
type wish struct {
	kind    string
	n, want int
}

// reads and writes want a share, and the lock; permits so many permits of n.
var reads, writes = wish{kind: "s"}, wish{kind: "x"}

func permits(n, want int) wish { return wish{"p", n, want} }

// ask asks for a share. Acquire's argument wait is one of these.
func (l *lock) wants(a backends.Token, w wish, ttl int, wait string, fields ...any) {
	l.Helper()
	l.call(scripts.AcquireShare, []string{
		a.Wire(), fmt.Sprint(ttl), label(a), wait, l.ask(a), fmt.Sprint(l.lives), l.push, w.kind, strconv.Itoa(w.n), strconv.Itoa(w.want),
	}, fields)
}

const (
	once  = "0" // one try
	waits = "1"
	deaf  = "2" // as waits, and poll-only
)

// gets expects that an ask is granted so many permits, and returns the base.
func (l *lock) gets(a backends.Token, w wish, ttl, permits, contended int) (base string) {
	l.Helper()
	l.wants(a, w, ttl, waits, 1, mint(&base), ttl, contended, w.kind, permits)
	return base
}

// behind expects that an ask waits at a place, while so many of a kind are out.
func (l *lock) behind(a backends.Token, w wish, owner string, place int, kind string, out int) {
	l.Helper()
	l.wants(a, w, 5000, waits, 0, owner, moments, ms(0, 100_000), place, 0, kind, out)
}

// refused expects that one try is held up by so many of a kind.
func (l *lock) refused(a backends.Token, w wish, kind string, out int) {
	l.Helper()
	l.wants(a, w, 5000, once, 0, masked0, moments, ms(0, 100_000), 0, 0, kind, out)
}

// masked0 is any label of a session's.
var masked0 = check{"label", func(v any) error {
	if s, ok := v.(string); !ok || s == "" {
		return fmt.Errorf("%v (%T) is no label", v, v)
	}
	return nil
}}

// keeps is a renewal, which keeps so many permits.
func (l *lock) keeps(a backends.Token, w wish, ttl int, known string, keep int, fields ...any) {
	l.Helper()
	l.call(scripts.RenewShare, []string{
		a.Wire(), fmt.Sprint(ttl), known, l.push, w.kind, strconv.Itoa(w.n), strconv.Itoa(keep),
	}, fields)
}

// leaves ends an attempt.
func (l *lock) leaves(a backends.Token, had, given int) {
	l.Helper()
	l.call(scripts.ReleaseShare, []string{a.Wire(), mark, l.push}, []any{had, given})
}

// goes does so for one whose every request was answered.
func (l *lock) goes(a backends.Token, had, given int) {
	l.Helper()
	l.call(scripts.ReleaseShare, []string{a.Wire(), "0", l.push}, []any{had, given})
}

// revokeShares has so many calls, one after the other, each of which finds the same.
func (l *lock) revokeShares(base, now string, found, calls int) {
	l.Helper()
	from := "-inf"
	for n := 1; from != ""; n++ {
		if n > calls {
			l.Fatalf("not all are revoked after %d calls", calls)
		}
		l.call(scripts.RevokeShares, []string{base, now, l.push, from}, []any{found, check{"next", func(v any) error {
			after, ok := v.(string)
			if from = after; !ok || (after == "") != (n == calls) {
				return fmt.Errorf("%q is next after call %d of %d", v, n, calls)
			}
			return nil
		}}})
	}
}

// out checks that shares of a kind are out, of which the longest ends within so many ms.
func (l *lock) out(kind string, low, high int64) {
	l.Helper()
	marker := backends.Stamp + scripts.NoSession + map[string]string{"s": "000000000001", "p": "000000000002"}[kind]
	l.sees(marker, "GET", l.keys[itself])
	l.column("lease", marker[len(backends.Stamp):])
	for _, i := range []int{itself, holders, shares} {
		l.sees(ms(low, high), "PTTL", l.keys[i])
	}
	l.sees(ms(low+59_000, high+60_000), "PTTL", l.keys[companion])
}

// none checks that nothing is left of shares.
func (l *lock) none() {
	l.Helper()
	l.sees(0, "EXISTS", l.keys[holders], l.keys[shares])
}

// lapses makes a share look as if it had ended just now.
func (l *lock) lapses(a backends.Token) {
	l.Helper()
	l.do("ZADD", l.keys[holders], strconv.FormatInt(l.now()/1000-1, 10), member(a))
}

// hears counts what is told to whom until the case ends. Only a caller that publishes knows.
func (l *lock) hears() func(kind string) []string {
	var told []string
	l.told = func(session, message string) { told = append(told, message[:1]+session) }
	return func(kind string) (sessions []string) {
		for _, m := range told {
			if m[:1] == kind {
				sessions = append(sessions, m[1:])
			}
		}
		told = nil
		slices.Sort(sessions)
		return slices.Compact(sessions)
	}
}

// tells expects messages of a kind to so many sessions, where that can be known.
func (l *lock) tells(told []string, want int) {
	l.Helper()
	if l.push == handed && len(told) != want {
		l.Fatalf("%d sessions are told, want %d", len(told), want)
	}
}

// Shares beside locks, and what the verbs of the mutex do where they are out.
var shareCases = []testCase{
	{"shares go together, and no lock beside them", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		first := l.gets(a, reads, 5000, 1, 0)
		l.out("s", 4000, 5000)
		base = l.gets(b, reads, 20_000, 1, 0)
		if base <= first {
			l.Fatalf("base %s after %s", base, first)
		}
		l.out("s", 19_000, 20_000)
		l.column("last", base)
		l.column("first", first)
		l.column("label", "")
		l.refused(c, writes, "s", 2)
		l.sees(0, "EXISTS", l.keys[queue])
		l.take(c, 5000, inFull)
		l.leaves(a, 1, 0)
		l.leaves(a, 0, 0)
		l.refused(c, writes, "s", 1)
		l.goes(b, 1, 0)
		l.none()
		l.holder(nil)
		l.column("lease", "")
		l.try(c, 5000, 1, mint(&base), 5000, 0)
		l.refused(b, reads, "x", 0)
	}, oddKeys},
	{"a kind goes with its own alone", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.gets(a, reads, 5000, 1, 0)
		l.refused(b, permits(2, 1), "s", 1)
		l.leaves(a, 1, 0)
		a = a.Session().Token(2)
		l.gets(a, permits(9, 1), 5000, 1, 0)
		l.out("p", 4000, 5000)
		l.refused(b, reads, "p", 1)
		l.refused(b, writes, "p", 1)
		l.gets(b, permits(2, 1), 5000, 1, 0)
	}, nil},
	{"the verbs of the mutex leave shares alone, and say who is to be asked", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		base = l.gets(a, reads, 5000, 1, 0)
		l.try(b, 5000, -2)
		l.wait(b, 5000, -2)
		l.sees(0, "EXISTS", l.keys[queue])
		l.revoke("0", -2)
		l.end("0", -2)
		l.revoke(base, -2)
		for _, t := range []backends.Token{a, b} {
			l.renew(t, 5000, "0", 0)
			l.letGo(t, 0)
			l.drop(t, 0)
			l.rest(t, 9000, 0)
		}
		l.out("s", 4000, 5000)
		l.gets(attempt(3, 1), reads, 5000, 1, 0)
	}, oddKeys},
	{"the verbs of shares take and leave the lock as the mutex's do", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.wants(a, writes, 5000, waits, 1, mint(&base), 5000, 0, "x", 1)
		l.holder(&a)
		l.column("label", "host:1")
		l.wants(a, writes, 20_000, waits, 1, mint(&base), 20_000, 0, "x", 1) // a repeat
		l.sees(ms(19_000, 20_000), "PTTL", l.keys[itself])
		l.inspect(1, "host:1", moments, ms(0, 20_000), base, 0)
		l.keeps(a, writes, 5000, base, 1, 1, mint(&base), 5000, 0, "x", 1)
		l.keeps(b, writes, 5000, "0", 1, 0)
		l.keeps(a, writes, 5000, "1", 1, 0) // by a base from before it began
		l.behind(b, writes, "host:1", 1, "x", 0)
		l.call(scripts.RevokeShares, []string{"0", "1", l.push, "-inf"}, []any{-2, ""})
		l.revoke("0", 3)
		l.wants(a, writes, 60_000, waits, 1, mint(&base), ms(0, 5000), 1, "x", 1)
		l.keeps(a, writes, 60_000, base, 1, 2)
		l.leaves(b, 0, 0)
		l.leaves(a, 1, 0)
		l.holder(nil)
		l.wants(a, writes, 5000, once, -1)
	}, oddKeys},
	{"a lock that rests is nobody's to share", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.rest(a, 9000, 1, 0)
		l.wants(b, reads, 5000, waits, 0, "host:1", -1, ms(7000, 9000), 1, 0, "x", 0)
		l.keeps(a, reads, 60_000, base, 1, 0)
		l.leaves(a, 0, 0)
		l.call(scripts.RevokeShares, []string{"0", "1", l.push, "-inf"}, []any{-2, ""})
		l.rests(9000)
		l.do("DEL", l.keys[itself])
		l.gets(b, reads, 5000, 1, 0)
	}, nil},
	{"another library's lock is nobody's to share", func(l *lock) {
		a := attempt(1, 1)
		l.do("SET", l.keys[itself], uuid, "PX", "5000")
		l.wants(a, reads, 5000, once, 0, "", -1, ms(0, 5000), 0, 1, "x", 0)
		l.wants(a, reads, 5000, waits, 0, "", -1, ms(0, 5000), 1, 1, "x", 0)
		l.keeps(a, reads, 5000, "0", 1, 0)
		l.leaves(a, 0, 0)
		l.sees(uuid, "GET", l.keys[itself])
	}, nil},
	{"inspect tells of shares", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.call(scripts.InspectShares, nil, []any{"x", 0, listed()})
		one := l.gets(a, permits(3, 1), 5000, 1, 0)
		two := l.gets(b, permits(5, 2), 20_000, 2, 0)
		l.wants(c, reads, 5000, waits, 0, "host:1", moments, ms(0, 20_000), 1, 0, "p", 3)
		l.call(scripts.Inspect, nil, []any{4, "", moments, ms(19_000, 20_000), two, 1, 0, one})
		l.revokeShares(two, "0", 3, 1)
		l.call(scripts.InspectShares, nil, []any{"p", 3, listed(
			"host:1", moments, ms(0, 5000), 1, 3, one, one, 0, "host:2", moments, ms(5000, 20_000), 2, 5, two, two, 1)})
		l.lapses(a)
		l.call(scripts.InspectShares, nil, []any{"p", 2, listed("host:2", moments, ms(5000, 20_000), 2, 5, two, two, 1)})
	}, oddKeys},
}

// listed is a list within a reply.
func listed(want ...any) check {
	return check{"list", func(v any) error {
		_, err := compare(v, want)
		return err
	}}
}
