package scripttest

import "fmt"

// What ends an attempt, and what a late copy of it finds then.
var settleCases = []testCase{
	{"a late copy of a released attempt does nothing", func(l *lock) {
		a := attempt(1, 5)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.release(a, 1, 0)
		l.try(a, 5000, -1)
		l.wait(a, 5000, -1)
		l.holder(nil)
		l.sees(0, "EXISTS", l.keys[queue])
		l.release(a, 0)
	}, oddKeys},
	{"a release takes the attempt out of the queue as well", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.heldBy(a, "host:2", 1) // a late copy, after the lease of a had ended
		l.release(a, 0)
		l.sees(nil, "ZRANK", l.keys[queue], member(a))
		l.sees(nil, "HGET", l.keys[alive], member(a))
		l.release(b, 1, 0)
		l.holder(nil)
	}, nil},
	{"a release that came before its acquire settles it", func(l *lock) {
		a := attempt(1, 1)
		l.release(a, 0)
		l.try(a, 5000, -1)
		l.holder(nil)
	}, nil},
	{"a session's earlier attempts are settled with a later one", func(l *lock) {
		l.cancel(attempt(1, 10), 0)
		l.try(attempt(1, 9), 5000, -1)
		l.try(attempt(1, 10), 5000, -1)
		l.cancel(attempt(1, 3), 0) // an older one, late: nothing is forgotten
		l.try(attempt(1, 10), 5000, -1)
		l.try(attempt(1, 11), 5000, 1, fresh(), 5000, 0)
		l.try(attempt(2, 1), 5000, 0, "host:1", moments, ms(0, 5000), 0, 0) // another session's are its own
	}, nil},
	{"a cancel in the queue leaves it", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.cancel(b, 0)
		l.sees(nil, "ZRANK", l.keys[queue], member(b))
		l.sees(nil, "HGET", l.keys[alive], member(b))
		l.wait(b, 5000, -1)
		l.sees(0, "EXISTS", l.keys[queue])
		l.release(a, 1, 0)
		l.holder(nil)
	}, oddKeys},
	{"a cancel of a granted attempt gives the lease back", func(l *lock) {
		a := attempt(1, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.cancel(a, 1)
		l.holder(nil)
		l.cancel(a, 0)
		l.try(a, 5000, -1)
	}, nil},
	{"a cancel of a granted attempt serves the next in the queue", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.cancel(a, 1)
		l.holder(&b)
	}, nil},
	{"a cancel of an attempt that was given the lease passes it on", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.release(a, 1, 1)
		l.cancel(b, 1)
		l.holder(&c)
		l.wait(b, 5000, -1)
		l.wait(c, 5000, 1, mint(&base), 5000, 0)
		l.cancel(c, 1)
		l.holder(nil)
	}, nil},
	{"a cancel of another's attempt touches nothing", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.cancel(b, 0)
		l.holder(&a)
	}, nil},
	{"old settled marks are thinned out, fresh ones kept", func(l *lock) {
		fill := func(from, n int, seconds int64) {
			l.Helper()
			for i := from; i < from+n; i++ {
				l.do("HSET", l.keys[more], fmt.Sprintf("settled:%020d", i), fmt.Sprintf("%012d%010d", 7, seconds))
			}
		}
		now := l.now() / 1e6
		l.cancel(attempt(1, 1), 0)
		fill(1000, 130, now-100)
		fill(2000, 20, now-30)
		l.sees(152, "HLEN", l.keys[more])
		l.cancel(attempt(1, 2), 0) // a session that is known adds nothing, and looks at nothing
		l.sees(152, "HLEN", l.keys[more])
		l.cancel(attempt(2, 1), 0) // one more session: 20, two sessions, until when they count, and when it was done
		l.sees(24, "HLEN", l.keys[more])
		l.try(attempt(2005, 7), 5000, -1)
		l.try(attempt(1, 2), 5000, -1)
		fill(1000, 130, now-100)
		l.cancel(attempt(3, 1), 0) // not again within 5 s
		l.sees(155, "HLEN", l.keys[more])
	}, nil},
}
