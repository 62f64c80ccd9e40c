package scripttest

import (
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// overwritten puts under the lock what the losing GETSET of a pylock leaves
// there: its own time, so many seconds ahead, and no ttl.
func (l *lock) overwritten(seconds int64) string {
	l.Helper()
	value := fmt.Sprintf("%d.25", l.now()/1e6+seconds)
	l.do("SET", l.keys[itself], value)
	return value
}

// leftOver puts under the lock what a crashed pylock leaves behind. A session that takes it over may be overwritten.
func (l *lock) leftOver() {
	l.Helper()
	l.do("SET", l.keys[itself], "1500000000.25")
}

// over makes the lease look as if it had ended just now: the lock is gone, and
// the companion has its last minute.
func (l *lock) over() {
	l.Helper()
	l.do("DEL", l.keys[itself])
	l.do("PEXPIRE", l.keys[companion], "60000")
}

// untouched expects that a stamp which is not for the attempt to put right stays
// as it is, whatever the attempt tries.
func (l *lock) untouched(a backends.Token, value string, ttl any) {
	l.Helper()
	l.renew(a, 60_000, "1", 0)
	l.release(a, 0)
	l.cancel(a, 0)
	l.sees(masked(value), "GET", l.keys[itself])
	l.sees(ttl, "PTTL", l.keys[itself])
}

// A crashed pylock's key was taken over by us, and by another pylock a moment
// later: it loses, but it has overwritten our token by its GETSET.
var overwrittenCases = []testCase{
	{"a renewal puts an overwritten token back", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.overwritten(11)
		l.renew(a, 60_000, base, 1, mint(&base), 60_000, 0)
		l.holder(&a)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[itself])
		l.sees(ms(119_000, 120_000), "PTTL", l.keys[companion])
		l.overwritten(-1) // again, by one whose time is over already
		l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
		l.holder(&a)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, oddKeys},
	{"a late copy of a renewal does not shorten what it puts back", func(l *lock) {
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.overwritten(11)
		l.renew(a, 2000, "0", 1, fresh(), ms(59_000, 60_000), 0)
		l.holder(&a)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[itself])
	}, nil},
	{"an overwritten lease is released, and cancelled", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(1, 2), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.overwritten(11)
		l.release(a, 1, 0)
		l.holder(nil)
		l.release(a, 0)
		l.try(b, 5000, 1, mint(&base), 5000, 0)
		l.overwritten(11)
		l.cancel(b, 1)
		l.holder(nil)
		l.cancel(b, 0)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
	}, oddKeys},
	{"an overwritten lease is passed on to the next in the queue", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.leftOver()
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.overwritten(11)
		l.release(a, 1, 1)
		l.holder(&b)
		l.overwritten(-1)
		l.cancel(b, 1)
		l.holder(&c)
		l.sees(ms(0, 1000), "PTTL", l.keys[itself])
	}, nil},
	{"a gift that was overwritten is confirmed", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.release(a, 1, 1)
		l.overwritten(-1)
		l.wait(b, 5000, 1, fresh(), 5000, 0)
		l.holder(&b)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, nil},
	{"a repeat of the acquire finds its overwritten lease", func(l *lock) {
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.overwritten(11)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.holder(&a)
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[itself])
	}, nil},
	{"an overwritten lease keeps others out until its end", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		for _, seconds := range []int64{-1, 11} { // the first could be a crashed pylock's, but for the lease
			l.overwritten(seconds)
			l.inspect(1, "host:1", moments, ms(0, 5000), base, 0)
			l.try(b, 5000, 0, "host:1", moments, ms(0, 5000), 0, 0)
			l.holder(&a)
			l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		}
		l.overwritten(-1)
		l.heldBy(b, "host:1", 1)
		l.overwritten(-1)
		l.heldBy(c, "host:1", 2)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 1)
	}, oddKeys},
	{"a lease that is over is not put right", func(l *lock) {
		l.forever = true
		a, b := attempt(1, 1), attempt(2, 1)
		l.leftOver()
		l.try(a, 20, 1, fresh(), 20, 0)
		for deadline := time.Now().Add(time.Minute); l.do("EXISTS", l.keys[itself]) != int64(0); {
			if time.Now().After(deadline) {
				l.Fatal("a lease of 20 ms is still there after a minute")
			}
		}
		value := l.overwritten(11) // a pylock between its SETNX and its EXPIRE
		l.foreign(b, -1)
		l.untouched(a, value, -1)
		l.foreign(a.Session().Token(2), -1)
		l.overwritten(-1)
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.holder(&b)
	}, nil},
	{"nor is one that was given back", func(l *lock) {
		l.forever = true
		for n, end := range []func(a backends.Token){
			func(a backends.Token) { l.release(a, 1, 0) },
			func(a backends.Token) { l.cancel(a, 1) },
		} {
			a, b := attempt(1, uint64(n+1)), attempt(2, 1)
			l.do("DEL", l.keys[itself])
			l.leftOver()
			l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
			end(a)
			value := l.overwritten(11)
			l.foreign(b, -1)
			l.untouched(a, value, -1)
		}
	}, nil},
	{"nor is one that turned out to be lost", func(l *lock) {
		l.forever = true
		for n, learn := range []func(a backends.Token){
			func(a backends.Token) { l.renew(a, 60_000, "0", 0) },
			func(a backends.Token) { l.release(a, 0) },
			func(a backends.Token) { l.cancel(a, 0) },
		} {
			a, b := attempt(1, uint64(n+1)), attempt(2, uint64(n+1))
			l.leftOver()
			l.try(a, 3_600_000, 1, fresh(), 3_600_000, 0)
			l.do("SET", l.keys[itself], uuid)
			learn(a)
			value := l.overwritten(11)
			l.foreign(b, -1)
			l.untouched(a, value, -1)
			l.overwritten(-1)
			l.try(b, 5000, 1, fresh(), 5000, 0)
			l.release(b, 1, 0)
		}
	}, nil},
	{"nor after somebody waited for another library's lock", func(l *lock) {
		l.forever = true
		a, b := attempt(1, 1), attempt(2, 1)
		l.leftOver()
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.over()
		l.do("SET", l.keys[itself], uuid, "PX", "100000")
		l.wait(b, 5000, 0, "", -1, ms(0, 100_000), 1, 1) // the companion stays for it
		l.sees(ms(59_000, 60_000), "PTTL", l.keys[companion])
		value := l.overwritten(11)
		l.wait(b, 5000, 0, "", -1, -1, 1, 1)
		l.untouched(a, value, -1)
	}, nil},
	{"what a pylock has won is its own", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.leftOver()
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		for _, seconds := range []int64{11, -1} {
			value := l.overwritten(seconds)
			l.do("PEXPIRE", l.keys[itself], "10000")
			l.foreign(b, ms(0, 10_000))
			l.untouched(a, value, ms(9000, 10_000))
		}
	}, nil},
	{"only the attempt that has the lease puts it right", func(l *lock) {
		a, again, other, base := attempt(1, 1), attempt(1, 2), attempt(2, 1), ""
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.over()
		l.try(again, 5000, 1, mint(&base), 5000, 0)
		value := l.overwritten(11)
		l.forever = true
		l.renew(a, 60_000, base, 0)
		l.release(a, 0)
		l.cancel(a, 0)
		l.untouched(other, value, -1)
		l.forever = false
		l.renew(again, 5000, base, 1, mint(&base), 5000, 0)
		l.holder(&again)
	}, nil},
	{"settled attempts say nothing of the lease of a later one", func(l *lock) {
		a, b := attempt(1, 1), attempt(1, 2)
		l.cancel(b, 0) // all up to it are settled
		l.leftOver()
		l.try(a, 5000, -1)
		c := attempt(1, 3)
		l.try(c, 5000, 1, fresh(), 5000, 0)
		l.cancel(b, 0)
		l.overwritten(11)
		l.release(c, 1, 0)
	}, nil},
	{"no other value is taken for a pylock's", func(l *lock) {
		l.forever = true
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		for _, value := range []string{
			uuid, "1", "0", "-1", "", "locked", "999999999.5", "1700000000000", "1e300", "inf", "-inf", "nan", "1700000000.5 s",
			backends.Stamp, backends.Stamp + "123", "5102444800.1" + member(a), attempt(1, 2).Wire(), attempt(2, 1).Wire(),
		} {
			l.do("SET", l.keys[itself], value)
			l.untouched(a, value, -1)
		}
	}, nil},
	{"a key that is simply gone is lost", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 60_000, 1, mint(&base), 60_000, 0)
		l.do("DEL", l.keys[itself])
		l.renew(a, 60_000, base, 0)
		l.holder(nil)
		l.release(a, 0)
		l.cancel(a, 0)
	}, nil},
	{"one whose companion is gone is lost as well", func(l *lock) {
		l.forever = true
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.do("DEL", l.keys[companion])
		l.untouched(a, l.overwritten(11), -1)
	}, nil},
	{"a clock that stepped back hides when a short lease ends, not when a long one does", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.ahead(20_000_000)
		l.leftOver()
		l.try(a, 100_000, 1, mint(&base), 100_000, 0)
		l.overwritten(11)
		l.renew(a, 5000, base, 1, mint(&base), 5000, 0)
		l.holder(&a)
		value := l.overwritten(11)
		l.forever = true
		l.foreign(b, -1)
		l.untouched(a, value, -1)
	}, nil},
}
