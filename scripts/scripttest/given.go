package scripttest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// gives lets a take the lock, b wait for it, and a release it to b, whose ask lasts for lives ms. It returns the base
// of the lease that b is given, and hears of by a push.
func (l *lock) gives(a, b backends.Token, lives int) (base string) {
	l.Helper()
	l.lives = lives
	l.try(a, 60_000, 1, fresh(), 60_000, 0)
	l.wait(b, 60_000, 0, label(a), moments, ms(0, 60_000), 1, 0)
	l.letGo(a, 1, 1)
	l.holder(&b)
	l.column("last", mint(&base))
	return base
}

// A lease that is given is its receiver's at once: a push tells of it, and a renewal that names its base confirms it.
var givenCases = []testCase{
	{"a lease that is given lasts as long as the newest ask says", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		for _, lives := range []int{1000, 3000, 400} {
			l.gives(a, b, lives)
			l.sees(ms(int64(lives)-400, int64(lives)), "PTTL", l.keys[itself])
			l.letGo(b, 1, 0)
		}
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		for _, lives := range []int{50_000, 3000} {
			l.lives = lives
			l.wait(b, 60_000, 0, "host:1", moments, ms(0, 60_000), 1, 0)
		}
		l.letGo(a, 1, 1)
		l.sees(ms(2000, 3000), "PTTL", l.keys[itself])
	}, nil},
	{"and is shown as held, by the one that waited", func(l *lock) {
		base := l.gives(attempt(1, 1), attempt(2, 1), 3000)
		l.inspect(1, "host:2", moments, ms(0, 3000), base, 0)
		l.column("first", masked("-"+base))
		l.heldByGiven(attempt(3, 1), "host:2")
	}, oddKeys},
	{"a renewal that names its base confirms it, also if the answer was lost", func(l *lock) {
		b := attempt(2, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		for range 2 {
			l.renew(b, 30_000, base, 1, fresh(), 30_000, 0)
			l.column("first", base)
			l.column("label", "host:2")
			l.sees(ms(29_000, 30_000), "PTTL", l.keys[itself])
			l.sees(ms(89_000, 90_000), "PTTL", l.keys[companion])
		}
		l.isQuiet()
		l.free(b, freed)
	}, oddKeys},
	{"and while others wait", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		base := l.gives(a, b, 3000)
		l.heldByGiven(c, "host:2")
		for range 2 {
			l.renew(b, 30_000, base, 1, fresh(), 30_000, 1)
			l.column("first", base)
			l.column("label", "host:2")
			l.sees(ms(29_000, 30_000), "PTTL", l.keys[itself])
		}
		l.inspect(1, "host:2", moments, ms(0, 30_000), l.columns()["last"], 1)
	}, nil},
	{"a confirmation that asks for less shortens it", func(l *lock) {
		b := attempt(2, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.renew(b, 900, base, 1, fresh(), 900, 0)
		l.sees(ms(0, 900), "PTTL", l.keys[itself])
	}, nil},
	{"one that does not know the base does not", func(l *lock) {
		b := attempt(2, 1)
		l.gives(attempt(1, 1), b, 3000)
		l.renew(b, 900, "0", 1, fresh(), ms(900, 3000), 0)
		l.sees(ms(900, 3000), "PTTL", l.keys[itself])
	}, nil},
	{"a repeated ask confirms it as well, and leaves it the lease that the push has named", func(l *lock) {
		b := attempt(2, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.wait(b, 20_000, 1, fresh(), 20_000, 0)
		l.column("first", base)
		l.renew(b, 30_000, base, 1, fresh(), 30_000, 0) // the confirmation, which the ask came before
		l.revoke(base, 3)
	}, nil},
	{"a confirmation takes no free lock", func(l *lock) {
		b := attempt(2, 1)
		for _, queued := range []bool{false, true} {
			base := l.gives(attempt(1, 1), b, 3000)
			if queued {
				l.heldByGiven(attempt(3, 1), "host:2")
			}
			l.over()
			l.renew(b, 30_000, base, 0)
			l.holder(nil)
			l.drop(attempt(3, 1), 0)
		}
	}, oddKeys},
	{"nor another's", func(l *lock) {
		b, c := attempt(2, 1), attempt(3, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.over()
		l.try(c, 5000, 1, fresh(), 5000, 0)
		l.renew(b, 30_000, base, 0)
		l.holder(&c)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, nil},
	{"nor a later lease of its own attempt", func(l *lock) {
		b, c := attempt(2, 1), attempt(3, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.over()
		l.try(c, 5000, 1, fresh(), 5000, 0)
		l.release(c, 1, 0)
		l.wait(b, 5000, 1, fresh(), 5000, 0) // a copy of an ask, late
		l.renew(b, 30_000, base, 0)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, nil},
	{"nor one that it was given later", func(l *lock) {
		b, c := attempt(2, 1), attempt(3, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.over()
		l.try(c, 5000, 1, fresh(), 5000, 0)
		l.wait(b, 5000, 0, "host:3", moments, ms(0, 5000), 1, 0) // a copy of an ask, late
		l.release(c, 1, 1)
		l.holder(&b)
		l.renew(b, 30_000, base, 0)
		l.sees(ms(0, 3000), "PTTL", l.keys[itself])
	}, nil},
	{"it is given back without a confirmation", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gives(a, b, 3000)
		l.letGo(b, 1, 0)
		l.isQuiet()
		l.gives(a, b, 3000)
		l.heldByGiven(c, "host:2")
		l.letGo(b, 1, 1)
		l.holder(&c)
	}, nil},
	{"it is revoked like another", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.release(a, 1, 1)
		given := l.columns()["last"]
		l.unchanged(base, 1)
		l.unchanged(fmt.Sprint(number(l, given)+1), 1)
		l.revoke(given, 3)
		l.marked(1, "host:2", moments, ms(0, 1000), given, 0)
		l.renew(b, 5000, given, 2) // the confirmation
		l.overwritten(11)
		l.revoke("0", 3)
		l.holder(&b)
		l.wait(b, 60_000, 1, fresh(), ms(0, 1000), 0) // one who did not hear of it asks, and has what is left
		l.column("first", given)
		l.renew(b, 5000, given, 2)
		l.release(b, 1, 0)
		l.isRevokedNoMore(a.Session().Token(2))
	}, nil},
	{"also once an ask or a renewal has confirmed it, by the base that the push named", func(l *lock) {
		b := attempt(2, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.revoke(base, 3)
		l.wait(b, 60_000, 1, fresh(), ms(0, 3000), 0)
		l.renew(b, 60_000, base, 2)
		l.revoke(base, 3)
		l.release(b, 1, 0)
	}, nil},
	{"it is ended like another, and goes to the next", func(l *lock) {
		b, c := attempt(2, 1), attempt(3, 1)
		base := l.gives(attempt(1, 1), b, 3000)
		l.heldByGiven(c, "host:2")
		l.end(base, 4)
		l.holder(&c)
		l.renew(b, 60_000, base, 0)
		l.wait(b, 60_000, -1)
	}, oddKeys},
}

// heldByGiven queues an attempt behind one that was given the lock.
func (l *lock) heldByGiven(waiter backends.Token, owner string) {
	l.Helper()
	l.wait(waiter, 60_000, 0, owner, moments, ms(0, 60_000), 1, 0)
}

// isRevokedNoMore takes the free lock, and renews the lease.
func (l *lock) isRevokedNoMore(a backends.Token) {
	l.Helper()
	base := ""
	l.try(a, 5000, 1, mint(&base), 5000, 0)
	l.renew(a, 5000, base, 1, fresh(), 5000, 0)
	l.sees(nil, "HGET", l.keys[more], "revoked")
}
