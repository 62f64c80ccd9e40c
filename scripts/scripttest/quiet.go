package scripttest

import (
	"fmt"
	"strconv"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// letGo and drop end an attempt of which every request was answered: nothing has to be remembered of it.
func (l *lock) letGo(a backends.Token, fields ...any) {
	l.Helper()
	l.call(scripts.Release, []string{a.Wire(), "0", l.push}, fields)
}

func (l *lock) drop(a backends.Token, fields ...any) {
	l.Helper()
	l.call(scripts.Cancel, []string{a.Wire(), "0", l.push}, fields)
}

// isQuiet and notQuiet check the state that the fast script reads.
func (l *lock) isQuiet() {
	l.Helper()
	l.column("state", "0")
	l.sees(0, "EXISTS", l.keys[more], l.keys[queue])
}
func (l *lock) notQuiet() { l.Helper(); l.column("state", "1") }

// evicted takes the companion away, as a server that evicts may.
func (l *lock) evicted() {
	l.Helper()
	l.do("DEL", l.keys[companion])
}

// forgotten makes all marks look as old as they have to be remembered.
func (l *lock) forgotten() {
	l.Helper()
	l.do("HSET", l.keys[more], "until", fmt.Sprintf("%016d", l.now()-1))
}

// The states in which the full scripts and the fast one leave a key for each other.
var quietCases = []testCase{
	{"a pair of full scripts leaves the key quiet", func(l *lock) {
		base := ""
		for n := range uint64(2) {
			a := attempt(1, n+1)
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.isQuiet()
			l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
			l.isQuiet()
			l.column("last", base)
			l.column("label", "host:1")
			l.letGo(a, 1, 0)
			l.isQuiet()
			l.column("last", base)
			l.column("lease", "")
			l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
			l.letGo(a, 0)
			l.drop(a, 0)
			l.isQuiet()
		}
		a := attempt(2, 1)
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.drop(a, 1)
		l.isQuiet()
		l.holder(nil)
	}, oddKeys},
	{"either kind of script takes what the other has freed, and frees what it has taken", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.take(a, 5000, mint(&base))
		l.renew(a, 60_000, base, 1, mint(&base), 60_000, 0)
		l.sees(ms(119_000, 120_000), "PTTL", l.keys[companion])
		l.free(a, freed)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.free(b, freed)
		l.take(a, 5000, mint(&base))
		l.try(a, 60_000, 1, mint(&base), 60_000, 0) // a repeat, in full
		l.inspect(1, "host:1", moments, ms(0, 60_000), base, 0)
		l.letGo(a, 1, 0)
		l.take(b, 5000, mint(&base))
		l.drop(b, 1)
		l.holder(nil)
	}, oddKeys},
	{"a key that somebody waits for is served in full", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.take(a, 5000, fresh())
		l.heldBy(b, "host:1", 1)
		l.notQuiet()
		l.free(a, inFull)
		l.letGo(a, 1, 1)
		l.holder(&b)
		l.isQuiet() // nobody waits any more
		l.do("DEL", l.keys[itself])
		l.take(c, 5000, inFull) // given, and not confirmed
		l.wait(b, 5000, 1, fresh(), 5000, 0)
		l.heldBy(c, "host:2", 1)
		l.drop(c, 0)
		l.isQuiet()
		l.free(b, freed)
	}, oddKeys},
	{"a late copy of what was settled finds a key that is not quiet", func(l *lock) {
		a, b := attempt(1, 1), attempt(1, 2)
		l.take(a, 5000, fresh())
		l.release(a, 1, 0)
		l.notQuiet()
		l.take(a, 5000, inFull)
		l.try(a, 5000, -1)
		l.cancel(b, 0) // one that was given up before it arrived
		l.take(b, 5000, inFull)
		l.try(b, 5000, -1)
		l.holder(nil)
	}, nil},
	{"what was settled is remembered for a minute, whoever uses the key", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.cancel(a, 0)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.notQuiet()
		l.letGo(b, 1, 0)
		l.notQuiet()
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[more])
		l.forgotten()
		l.try(c, 5000, 1, fresh(), 5000, 0)
		l.isQuiet()
		l.free(c, freed)
	}, nil},
	{"what was settled is found though the companion was evicted", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.cancel(a, 0)
		l.evicted()
		l.take(b, 5000, fresh()) // says that the key is quiet
		l.try(a, 5000, -1)
		l.letGo(b, 1, 0)
		l.notQuiet()
		l.evicted()
		l.try(a, 5000, -1)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.notQuiet()
	}, nil},
	{"one whose companion was evicted serves those that wait", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.take(a, 5000, fresh())
		l.heldBy(b, "host:1", 1)
		l.evicted()
		l.free(a, inFull)
		l.letGo(a, 1, 1)
		l.holder(&b)
		l.wait(b, 5000, 1, fresh(), 5000, 0)
		l.heldBy(a, "host:2", 1)
		l.do("DEL", l.keys[itself])
		l.evicted()
		l.take(c, 5000, fresh()) // passes by those that wait, once
		l.heldBy(a, "host:3", 1)
		l.notQuiet()
		l.free(c, inFull)
		l.letGo(c, 1, 1)
		l.holder(&a)
	}, nil},
	{"a companion that was evicted is made anew for the lease that goes on", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.take(a, 100_000, fresh())
		l.evicted()
		l.wait(b, 5000, 0, "", -1, ms(99_000, 100_000), 1, 0)
		l.column("lease", member(a))
		l.sees(ms(159_000, 160_000), "PTTL", l.keys[companion])
	}, nil},
	{"a revoked lease is freed in full", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.take(a, 100_000, mint(&base))
		l.revoke(base, 3)
		l.notQuiet()
		l.sees(ms(99_000, 100_000), "PTTL", l.keys[more])
		l.free(a, inFull)
		l.letGo(a, 1, 0)
		l.isQuiet()
		b := attempt(1, 2)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		l.over() // it ran out
		l.take(a, 5000, inFull)
		l.try(attempt(1, 3), 5000, 1, mint(&base), 5000, 0)
		l.isQuiet()
	}, nil},
	{"a string of somebody else's under the companion's name is an error that changes nothing", func(l *lock) {
		a, theirs := attempt(1, 1), "the year 2026-01-01T00:00:00Z of somebody who keeps long notes under odd names"
		for _, value := range []string{"v", "", theirs, "2", "20" + theirs, "3" + fmt.Sprintf("0%016d+%016d%32s", 1, 1, "")} {
			l.do("SET", l.keys[companion], value, "PX", "5000")
			l.fails("WRONGTYPE", a)
			for _, held := range []string{"", a.Wire()} {
				if held != "" {
					l.do("SET", l.keys[itself], held, "PX", "5000")
				}
				for _, s := range []*scripts.Script{scripts.Renew, scripts.Release, scripts.Cancel} {
					args := map[*scripts.Script][]string{scripts.Renew: {a.Wire(), "5000", "0"}}[s]
					if args == nil {
						args = []string{a.Wire(), "1", l.push}
					}
					if v, err := l.exec(s, s.Keys(l.keys[itself]), args...); err == nil && s != scripts.Renew {
						l.Fatalf("%s replied %v beside %q", s.Name, v, value)
					}
				}
				l.sees(masked(value), "GET", l.keys[companion])
				l.sees(0, "EXISTS", l.keys[more])
			}
			l.holder(&a)
			l.do("DEL", l.keys[itself])
		}
	}, nil},
	{"inspect names those that wait", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		l.take(a, 5000, fresh())
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.polls(d, "host:1", 3)
		said := l.says(d)
		l.do("HSET", l.keys[alive], member(d), said[:38]+"p0001203"+said[46:])
		l.do("ZADD", l.keys[queue], strconv.FormatInt(l.now()-60_000_000, 10), member(b))
		l.silence(c)
		got, _ := l.exec(scripts.Inspect, scripts.Keys(l.keys[itself]))
		fields, _ := got.([]any)
		list, _ := fields[len(fields)-1].([]any)
		if line, err := compare(list, []any{"host:2", ms(59_999, 70_000), "x", 0, "host:4", moments, "p", 12}); err != nil {
			l.Fatalf("inspect names %v: %v %s", list, err, line)
		}
		l.letGo(a, 1, 1)
		l.sees(nil, "HGET", l.keys[alive], member(b)) // it is no waiter any more
		l.drop(d, 0)
		l.drop(b, 1)
		l.isQuiet()
	}, oddKeys},
}
