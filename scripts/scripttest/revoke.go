package scripttest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// marked inspects a lease that is revoked.
func (l *lock) marked(fields ...any) {
	l.Helper()
	l.call(scripts.Inspect, nil, append(fields, 1, firstOf(fields)))
}

// unchanged expects of revokes that found nothing to do that they did nothing.
func (l *lock) unchanged(base string, found int) {
	l.Helper()
	l.revoke(base, found)
	l.end(base, found)
	l.sees(nil, "HGET", l.keys[more], "revoked")
}

// What somebody does to a lease who does not hold it.
var revokeCases = []testCase{
	{"a revoked lease is not renewed", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		l.renew(a, 60_000, base, 2)
		l.renew(a, 60_000, "0", 2)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
		l.column("last", base)
		l.marked(1, "host:1", moments, ms(0, 5000), base, 0)
		l.try(attempt(2, 1), 5000, 0, "host:1", moments, ms(0, 5000), 0, 0)
		l.renew(a, 1000, base, 2) // nor is it made shorter
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.revoke("0", 3)
		l.holder(&a)
		l.release(a, 1, 0)
		l.holder(nil)
		l.inspect(0, "", -1, -2, base, 0)
		l.renew(a, 5000, base, 0)
	}, oddKeys},
	{"the lease after a revoked one is not revoked, be it its own session's", func(l *lock) {
		a, base := attempt(1, 1), ""
		following := func() { a = a.Session().Token(a.Attempt() + 1) }
		for _, end := range []func(){
			func() { l.release(a, 1, 0); following() },
			func() { l.cancel(a, 1); following() },
			func() { l.over(); following() },
			l.over, // and then the same attempt once more, which nobody has settled
		} {
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.revoke(base, 3)
			l.renew(a, 5000, base, 2)
			end()
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.inspect(1, "host:1", moments, ms(0, 5000), base, 0)
			l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
			l.release(a, 1, 0)
			following()
		}
	}, nil},
	{"a revoked lease goes to the next when it is released", func(l *lock) {
		for n, end := range []func(a backends.Token){
			func(a backends.Token) { l.release(a, 1, 1) },
			func(a backends.Token) { l.cancel(a, 1) },
		} {
			a, b, base := attempt(1, uint64(n+1)), attempt(2, uint64(n+1)), ""
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.heldBy(b, "host:1", 1)
			l.revoke("0", 3)
			l.wait(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
			end(a)
			l.wait(b, 5000, 1, mint(&base), 5000, 0)
			l.renew(b, 5000, base, 1, mint(&base), 5000, 0)
			l.release(b, 1, 0)
		}
	}, nil},
	{"a repeated acquire has what its revoked lease has left", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		l.try(a, 60_000, 1, mint(&base), ms(0, 5000), 0)
		l.wait(a, 60_000, 1, mint(&base), ms(0, 5000), 0)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
		l.renew(a, 60_000, base, 2)
		l.sees(0, "EXISTS", l.keys[queue])
		l.cancel(a, 1)
		l.holder(nil)
	}, nil},
	{"a free lock is nobody's", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.unchanged("0", 0)
		l.unchanged("1", 0)
		l.sees(0, "EXISTS", l.keys[companion])
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.release(a, 1, 0)
		l.unchanged("0", 0)
		l.unchanged(base, 0)
		l.holder(nil)
	}, oddKeys},
	{"a base revokes the lease that minted it, and no other", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		old := []string{"1", base}
		l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
		old = append(old, base)
		l.release(a, 1, 0)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		own := []string{base}
		l.try(b, 5000, 1, mint(&base), 5000, 0) // a repeat: the first answer may have arrived
		own = append(own, base)
		for range 2 {
			l.renew(b, 5000, base, 1, mint(&base), 5000, 0)
			own = append(own, base)
		}
		for _, base := range append(old, fmt.Sprint(number(l, base)+1)) {
			l.unchanged(base, 1)
		}
		l.holder(&b)
		l.column("first", own[0])
		for _, base := range own {
			l.revoke(base, 3)
			l.renew(b, 5000, base, 2)
			l.do("HDEL", l.keys[more], "revoked")
		}
		l.end(own[1], 4)
		l.end(own[1], 0)
	}, nil},
	{"a lease is ended", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 3_600_000, 1, mint(&base), 3_600_000, 0)
		l.end("0", 4)
		l.holder(nil)
		l.inspect(0, "", -1, -2, base, 0)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
		l.column("lease", "")
		l.renew(a, 5000, base, 0)
		l.try(a, 5000, -1) // settled: a late copy
		l.release(a, 0)
		l.try(attempt(1, 2), 5000, 1, mint(&base), 5000, 0)
	}, oddKeys},
	{"an ended lease goes to the next in the queue", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.revoke("0", 3)
		l.end(base, 4)
		l.holder(&b)
		l.sees(ms(0, 1000), "PTTL", l.keys[itself])
		l.release(a, 0)
		l.renew(a, 5000, base, 0)
		l.column("lease", member(b))
		l.wait(b, 5000, 1, mint(&base), 5000, 0)
		l.renew(b, 5000, base, 1, mint(&base), 5000, 0)
	}, nil},
	{"what comes after an ended lease does not bring it back", func(l *lock) {
		l.forever = true
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
		l.end("0", 4)
		l.do("PEXPIRE", l.keys[companion], "3660000") // as if others had settled what is kept for long
		value := l.overwritten(11)
		l.foreign(attempt(2, 1), -1)
		l.untouched(a, value, -1)
	}, nil},
	{"another library's lock is told of, and ended", func(l *lock) {
		l.forever = true
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.release(a, 1, 0)
		for _, set := range [][]string{
			{uuid, "PX", "5000"}, {uuid}, {"1"}, {"1500000000.25"}, {"4000000000.5"}, {attempt(1, 1).Wire() + "0"},
		} {
			l.do(append([]string{"SET", l.keys[itself]}, set...)...)
			l.revoke("0", 2)
			l.unchanged("1", 1)
			l.unchanged(base, 1)
			l.sees(set[0], "GET", l.keys[itself])
			l.end("0", 4)
			l.holder(nil)
			l.end("0", 0)
		}
		l.try(attempt(1, 2), 5000, 1, mint(&base), 5000, 0)
	}, oddKeys},
	{"another library's lock that ends goes to the next in the queue", func(l *lock) {
		a := attempt(1, 1)
		l.do("SET", l.keys[itself], uuid, "PX", "5000")
		l.wait(a, 5000, 0, "", -1, ms(0, 5000), 1, 1)
		l.end("0", 4)
		l.holder(&a)
		l.wait(a, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"a lease lost to another library does not come back with that one's end", func(l *lock) {
		l.forever = true
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
		l.do("SET", l.keys[itself], uuid)
		l.end("0", 4)
		value := l.overwritten(11)
		l.foreign(attempt(2, 1), -1)
		l.untouched(a, value, -1)
	}, nil},
	{"an overwritten lease is revoked, and put right", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.overwritten(11)
		l.unchanged("1", 1)
		l.revoke(base, 3)
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.overwritten(-1)
		l.marked(1, "host:1", moments, ms(0, 5000), base, 0)
		l.renew(a, 60_000, base, 2)
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.overwritten(-1)
		l.end("0", 4)
		l.holder(nil)
		l.renew(a, 60_000, base, 0)
	}, oddKeys},
	{"a lease whose companion is gone is revoked, but by no base", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.do("DEL", l.keys[companion])
		l.unchanged(base, 1)
		l.revoke("0", 3)
		l.sees(ms(64_000, 65_000), "PTTL", l.keys[companion])
		l.renew(a, 60_000, base, 2)
		l.marked(1, "", -1, ms(0, 5000), "", 0)
		l.release(a, 1, 0)
		l.do("DEL", l.keys[companion])
		b := attempt(1, 2)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.do("DEL", l.keys[companion])
		l.renew(b, 5000, base, 1, mint(&base), 5000, 0) // makes another
		l.unchanged(base, 1)
		l.revoke("0", 3)
		l.renew(b, 60_000, base, 2)
	}, nil},
	{"a repeated acquire leaves a lease revoked though its companion is gone", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke(base, 3)
		for range 2 {
			l.do("DEL", l.keys[companion])
			l.try(a, 60_000, 1, fresh(), ms(0, 5000), 0)
			l.sees(ms(3000, 5000), "PTTL", l.keys[itself])
			l.renew(a, 60_000, "0", 2)
		}
		l.release(a, 1, 0)
		l.do("DEL", l.keys[companion], l.keys[more])
		b := attempt(1, 2)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.do("DEL", l.keys[companion])
		l.revoke("0", 3) // of a lease of which no base is known
		l.try(b, 60_000, 1, fresh(), ms(0, 5000), 0)
		l.renew(b, 60_000, "0", 2)
	}, nil},
}
