package scripttest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// resting stands under a lock that rests.
const resting = "4102444800.2"

// rest ends a lease, and keeps the lock from everybody for ms.
func (l *lock) rest(a backends.Token, ms int, fields ...any) {
	l.Helper()
	l.call(scripts.Rest, []string{a.Wire(), mark, l.push, fmt.Sprint(ms)}, fields)
}

// rests checks that the lock rests for at most that long, ms.
func (l *lock) rests(most int64) {
	l.Helper()
	l.sees(resting, "GET", l.keys[itself])
	l.sees(ms(most-2000, most), "PTTL", l.keys[itself])
}

// What a released lock that rests is to others, and to its holder's late requests.
var restCases = []testCase{
	{"a lock that rests is nobody's", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.rest(a, 9000, 1, 0)
		l.rests(9000)
		l.inspect(3, "host:1", -1, ms(7000, 9000), base, 0)
		l.try(b, 5000, 0, "host:1", -1, ms(7000, 9000), 0, 0)
		l.sees(ms(67_000, 69_000), "PTTL", l.keys[companion])
		// Late copies of what its holder sent, each of them.
		l.rest(a, 60_000, 0)
		l.release(a, 0)
		l.cancel(a, 0)
		l.renew(a, 60_000, base, 0)
		l.renew(a, 1000, base, 0)
		l.try(a, 60_000, -1)
		l.wait(a, 60_000, -1)
		l.rests(9000)
		l.inspect(3, "host:1", -1, ms(7000, 9000), base, 0)
		l.column("lease", member(a)) // whom revoke tells
		l.do("DEL", l.keys[itself])  // the rest is over
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.inspect(1, "host:2", moments, ms(0, 5000), base, 0)
	}, oddKeys},
	{"who waits keeps its place while the lock rests", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.rest(a, 9000, 1, 0)
		l.rests(9000)
		l.wait(b, 5000, 0, "host:1", -1, ms(7000, 9000), 1, 0)
		l.wait(c, 5000, 0, "host:1", -1, ms(7000, 9000), 2, 0)
		l.do("DEL", l.keys[itself]) // the rest is over
		l.wait(c, 5000, 0, "host:2", 0, 1000, 1, 0)
		l.wait(b, 5000, 1, fresh(), 5000, 1)
	}, nil},
	{"a rest ends by force", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.rest(a, 9000, 1, 0)
		l.revoke("1", 1)
		l.end("1", 1)
		l.rests(9000)
		l.revoke(base, 4)
		l.holder(nil)
		l.revoke(base, 0)
		for _, force := range []func(string, int){l.revoke, l.end} {
			a = a.Session().Token(a.Attempt() + 1)
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.rest(a, 9000, 1, 0)
			l.wait(b, 5000, 0, "host:1", -1, ms(7000, 9000), 1, 0)
			force("0", 4)
			l.holder(&b)
			l.wait(b, 5000, 1, mint(&base), 5000, 0)
			l.release(b, 1, 0)
			b = b.Session().Token(b.Attempt() + 1)
		}
	}, nil},
	{"a lease that is another's does not rest", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.rest(a, 9000, 0)
		l.holder(nil)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.rest(a, 9000, 0)
		l.holder(&b)
		l.sees(ms(3000, 5000), "PTTL", l.keys[itself])
	}, nil},
	{"a lock whose lease was revoked does not rest", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		l.rest(a, 9000, 1, 0)
		l.holder(nil)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.revoke("0", 3)
		a = a.Session().Token(a.Attempt() + 1)
		l.wait(a, 5000, 0, "host:2", moments, ms(0, 5000), 1, 0)
		l.rest(b, 9000, 1, 1)
		l.holder(&a)
	}, nil},
	{"a rest that a pylock has overwritten lasts as long", func(l *lock) {
		l.forever = true
		a, b := attempt(1, 1), attempt(2, 1)
		l.leftOver()
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.rest(a, 9000, 1, 0)
		value := l.overwritten(-1)
		l.foreign(b, -1)
		l.untouched(a, value, -1)
		l.do("PEXPIRE", l.keys[companion], "60000") // the rest is over
		l.try(b, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"the script fast leaves a lock that rests as it is", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.call(scripts.Rest, []string{a.Wire(), "0", l.push, "9000"}, []any{1, 0})
		l.sees(0, "EXISTS", l.keys[more])
		l.free(a, inFull)
		l.take(b, 5000, inFull)
		l.rests(9000)
	}, nil},
}
