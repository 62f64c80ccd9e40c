package scripttest

import "github.com/turnstile-go/turnstile/backends"

// Late copies of an acquire that was given up: they are queued while nothing on the server says that the
// attempt is over, and must not get the lock once something does.
var givenUpCases = []testCase{
	{"what was given up is not given the lock by the session's next attempt", func(l *lock) {
		for i, ends := range []func(backends.Token){
			func(next backends.Token) { l.release(next, 1, 0) },
			func(next backends.Token) { l.letGo(next, 1, 0) },
			func(next backends.Token) { l.cancel(next, 1) },
			func(next backends.Token) { l.drop(next, 1) },
			func(backends.Token) { l.end("0", 4) },
		} {
			n := uint64(10*i + 10)
			hears, polls, next := attempt(1, n-2), attempt(1, n-1), attempt(1, n)
			l.try(next, 5000, 1, fresh(), 5000, 0)
			l.heldBy(hears, "host:1", 1)
			l.polls(polls, "host:1", 2)
			l.aged(polls)
			ends(next)
			l.nobody()
		}
	}, nil},
	{"an acquire of the session's next attempt passes it by", func(l *lock) {
		a := attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(attempt(1, 9), "host:2", 1)
		l.do("DEL", l.keys[itself])
		l.try(attempt(1, 10), 5000, 1, fresh(), 5000, 0)
		l.letGo(attempt(1, 10), 1, 0)
		l.nobody()
	}, nil},
	{"what the session has settled is passed by, whoever gives the lock", func(l *lock) {
		for _, gives := range []func(b backends.Token){
			func(b backends.Token) { l.release(b, 1, 0) },
			func(b backends.Token) { l.letGo(b, 1, 0) },
			func(b backends.Token) { l.cancel(b, 1) },
			func(b backends.Token) { l.end("0", 4) },
			func(b backends.Token) {
				l.do("DEL", l.keys[itself])
				c := attempt(3, 1)
				l.try(c, 5000, 1, fresh(), 5000, 0)
				l.letGo(c, 1, 0)
			},
		} {
			l.do(append([]string{"DEL"}, l.keys...)...)
			a, b, first := attempt(1, 10), attempt(2, 1), attempt(4, 1)
			l.try(b, 5000, 1, fresh(), 5000, 0)
			l.heldBy(first, "host:2", 1)
			l.heldBy(attempt(1, 9), "host:2", 2)
			l.heldBy(a, "host:2", 3)
			l.cancel(a, 0)
			l.silence(first)
			gives(b)
			l.nobody()
		}
	}, nil},
}

// nobody expects that nobody has the lock or waits for it.
func (l *lock) nobody() {
	l.Helper()
	l.holder(nil)
	l.sees(0, "EXISTS", l.keys[queue], l.keys[alive])
}
