package scripttest

import (
	"strconv"

	"github.com/turnstile-go/turnstile/backends"
)

// aged makes a waiting attempt look as if it had come longer ago than a
// poll-only session lets others go first.
func (l *lock) aged(a backends.Token) {
	l.Helper()
	l.do("ZADD", l.keys[queue], strconv.FormatInt(l.now()-150_000, 10), member(a))
}

// young makes waiting attempts, in this order, as if they had only just come.
func (l *lock) young(waiting ...backends.Token) {
	l.Helper()
	for i, a := range waiting {
		l.do("ZADD", l.keys[queue], strconv.FormatInt(l.now()+int64(i), 10), member(a))
	}
}

// polls queues a poll-only attempt behind a holder's label.
func (l *lock) polls(waiter backends.Token, owner string, place int) {
	l.Helper()
	l.poll(waiter, 5000, 0, owner, moments, ms(0, 5000), place, 0)
}

// Sessions that hear no pushes: they wait in the same queue, and must neither
// starve in it nor hold the others up.
var pollCases = []testCase{
	{"a lock is kept for one that polls for a short time only", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.polls(b, "host:1", 1)
		l.aged(b)
		l.release(a, 1, 1)
		l.holder(&b)
		l.sees(ms(0, 75), "PTTL", l.keys[itself])
		l.column("last", mint(&base))
		l.poll(b, 5000, 1, mint(&base), 5000, 0)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.release(b, 1, 0)
		l.holder(nil)
	}, oddKeys},
	{"and ten times as long for one that polls seldom, as long as it does", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.seldom(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.aged(b)
		l.release(a, 1, 1)
		l.holder(&b)
		l.sees(ms(75, 750), "PTTL", l.keys[itself])
		l.seldom(b, 5000, 1, fresh(), 5000, 0)
		l.seldom(a, 5000, -1)
		c, d := attempt(3, 1), attempt(4, 1)
		l.seldom(c, 5000, 0, "host:2", moments, ms(0, 5000), 1, 0)
		l.polls(c, "host:2", 1)
		l.aged(c)
		l.release(b, 1, 1)
		l.sees(ms(0, 75), "PTTL", l.keys[itself])
		l.do("DEL", l.keys[itself])
		l.seldom(d, 5000, 1, fresh(), 5000, 0) // a free lock is its own
	}, oddKeys},
	{"one that polls lets those that hear go first", func(l *lock) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.heldBy(d, "host:1", 3)
		l.young(b, c, d)
		l.release(a, 1, 1)
		l.holder(&c)
		l.sees(ms(75, 1000), "PTTL", l.keys[itself])
		l.wait(c, 5000, 1, fresh(), 5000, 1)
		l.polls(b, "host:3", 1) // and keeps its place
		l.release(c, 1, 1)
		l.holder(&d)
	}, nil},
	{"but not for ever", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.aged(b)
		l.polls(b, "host:1", 1) // asking again makes it no younger
		l.release(a, 1, 1)
		l.holder(&b)
		l.sees(ms(0, 75), "PTTL", l.keys[itself])
		l.poll(b, 5000, 1, fresh(), 5000, 1)
	}, nil},
	{"until then one that hears may take a free lock before it", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.young(b)
		l.release(a, 1, 0)
		l.holder(nil)
		l.sees(1, "EXISTS", l.keys[queue])
		l.wait(c, 5000, 1, fresh(), 5000, 1)
		l.release(c, 1, 0)
		l.poll(b, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"where all poll they are served in order", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(3, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.polls(c, "host:1", 2)
		l.young(b, c)
		l.release(a, 1, 0)
		l.poll(c, 5000, 0, "host:3", 0, 75, 1, 0)
		l.holder(&b)
		l.poll(b, 5000, 1, fresh(), 5000, 1)
		l.aged(c)
		l.release(b, 1, 1)
		l.holder(&c)
	}, nil},
	{"one that polls takes a free lock when it is its turn, and only then", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.young(b, c)
		l.do("DEL", l.keys[itself])
		l.poll(b, 5000, 0, "host:3", 0, 1000, 1, 0)
		l.holder(&c)
		l.wait(c, 5000, 1, fresh(), 5000, 1)
		l.do("DEL", l.keys[itself])
		l.poll(b, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"one that asks for a lock kept for a poller is told when that ends", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.aged(b)
		l.do("DEL", l.keys[itself])
		l.try(c, 5000, 0, "host:2", 0, 75, 0, 0)
		l.try(c, 5000, 0, "host:2", moments, ms(0, 75), 0, 0)
		l.holder(&b)
	}, nil},
	{"one that hears again is like the others", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.heldBy(b, "host:1", 1)
		l.release(a, 1, 1)
		l.sees(ms(75, 1000), "PTTL", l.keys[itself])
	}, nil},
	{"and one that went deaf is not", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.polls(b, "host:1", 1)
		l.aged(b)
		l.release(a, 1, 1)
		l.sees(ms(0, 75), "PTTL", l.keys[itself])
	}, nil},
	{"a poller that does not come loses its turn, not the lock to everybody", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.aged(b)
		l.release(a, 1, 1)
		l.holder(&b)
		l.do("DEL", l.keys[itself]) // what was kept for it lapsed
		l.wait(c, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:3", 1)
	}, nil},
	{"dead pollers are skipped, and pollers count as waiting", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.polls(b, "host:1", 1)
		l.polls(c, "host:1", 2)
		l.inspect(1, "host:1", moments, ms(0, 5000), base, 2)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 1)
		l.do("HSET", l.keys[alive], member(b), past("2"))
		l.aged(c)
		l.release(a, 1, 1)
		l.holder(&c)
		l.sees(0, "ZCARD", l.keys[queue])
	}, nil},
	{"a poller leaves like any other", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.polls(b, "host:1", 1)
		l.aged(b)
		l.release(a, 1, 1)
		l.cancel(b, 1) // the lock that was kept for it is free at once
		l.holder(nil)
		l.poll(b, 5000, -1)
	}, nil},
}
