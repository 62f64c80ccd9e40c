package scripttest

import "strconv"

// pylock and the server's clock beside the fast path.
var raceCases = []testCase{
	{"a fast lease that a pylock has overwritten is nobody else's before its end", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.take(a, 20_000, mint(&base))
		l.forever = true
		value := l.overwritten(-1) // its time is past: it looks as if a crashed pylock had left it
		l.try(b, 5000, 0, "", -1, -1, 0, 1)
		l.renew(a, 60_000, base, 0) // lost to its holder, though this answer may be
		l.try(b, 5000, 0, "", -1, -1, 0, 1)
		l.wait(b, 5000, 0, "", -1, -1, 1, 1)
		l.try(attempt(3, 1), 5000, 0, "", -1, -1, 0, 1)
		l.sees(masked(value), "GET", l.keys[itself])
		l.sees(ms(79_000, 80_000), "PTTL", l.keys[companion])
		l.do("PEXPIRE", l.keys[companion], "60000") // its time is over
		l.forever = false
		l.wait(b, 5000, 1, mint(&base), 5000, 0)
		l.holder(&b)
	}, oddKeys},
	{"but its own attempt may take what is left over", func(l *lock) {
		a := attempt(1, 1)
		l.take(a, 20_000, fresh())
		l.overwritten(-1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.holder(&a)
	}, nil},
	{"a lease that was given back does not keep a left-over from the next", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.take(a, 100_000, fresh())
		l.letGo(a, 1, 0)
		l.leftOver()
		l.try(b, 5000, 1, fresh(), 5000, 0)
		l.holder(&b)
	}, nil},
	{"a token that was freed on the fast path is not put back over a pylock's lock", func(l *lock) {
		l.forever = true
		x, a, b := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.leftOver()
		l.try(x, 5000, 1, fresh(), 5000, 0) // a take-over: an overwritten token may be put back
		l.letGo(x, 1, 0)
		l.evicted()
		l.take(a, 20_000, fresh())
		l.free(a, freed)
		l.cancel(b, 0)
		l.notQuiet()
		value := l.overwritten(11) // a pylock between its SETNX and its EXPIRE
		l.foreign(b.Session().Token(2), -1)
		l.untouched(a, value, -1)
	}, nil},
	{"nor is one of a fast lease that goes on", func(l *lock) {
		l.forever = true
		x, a := attempt(1, 1), attempt(2, 1)
		l.leftOver()
		l.try(x, 5000, 1, fresh(), 5000, 0)
		l.letGo(x, 1, 0)
		l.evicted()
		l.take(a, 20_000, fresh())
		l.untouched(a, l.overwritten(11), -1)
	}, nil},
	{"without a take-over of ours nothing is put back", func(l *lock) {
		l.forever = true
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 20_000, 1, fresh(), 20_000, 0)
		l.cancel(b, 0) // the key is not quiet
		l.untouched(a, l.overwritten(11), -1)
	}, nil},
	{"nor a minute after it", func(l *lock) {
		l.forever = true
		a := attempt(1, 1)
		l.leftOver()
		l.try(a, 100_000, 1, fresh(), 100_000, 0)
		l.do("HSET", l.keys[more], "over", strconv.FormatInt(l.now()-60_001_000, 10)+member(a))
		l.untouched(a, l.overwritten(11), -1)
	}, nil},
	{"one who is told that its lease is lost does not have it back", func(l *lock) {
		l.forever = true
		a, base := attempt(1, 1), ""
		l.leftOver()
		l.try(a, 20_000, 1, mint(&base), 20_000, 0)
		l.do("SET", l.keys[itself], uuid)
		l.renew(a, 20_000, base, 0)
		l.column("lease", member(a)) // the answer may be lost
		l.untouched(a, l.overwritten(11), -1)
	}, nil},
	{"a left-over that was ended by hand may be written over as one that we took", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.leftOver()
		l.end("0", 4)
		l.notQuiet()
		l.take(a, 5000, inFull)
		l.try(a, 20_000, 1, mint(&base), 20_000, 0)
		l.overwritten(-1)
		l.renew(a, 20_000, base, 1, mint(&base), 20_000, 0)
		l.holder(&a)
	}, nil},
	{"one who comes is served after those that wait, though the clock stepped back", func(l *lock) {
		a, b, c, d, e := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1), attempt(5, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		for i, waiting := range []string{member(b), member(c)} { // they came two minutes ahead of the clock as it is
			l.do("ZADD", l.keys[queue], strconv.FormatInt(l.now()+120_000_000+int64(i), 10), waiting)
		}
		l.heldBy(d, "host:1", 3)
		l.polls(e, "host:1", 4)
		l.letGo(a, 1, 1)
		l.holder(&b)
		l.wait(b, 5000, 1, fresh(), 5000, 1)
		l.letGo(b, 1, 1)
		l.holder(&c)
		l.wait(c, 5000, 1, fresh(), 5000, 1)
		l.letGo(c, 1, 1)
		l.holder(&d)
		l.wait(d, 5000, 1, fresh(), 5000, 1)
		l.letGo(d, 1, 1) // one that polls would let others go first until two minutes have passed
		l.holder(&e)
	}, nil},
	{"a base that is ahead of the clock keeps the key from being quiet, and its companion", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		ahead := l.ahead(3_600_000_000)
		l.take(a, 10_000, inFull)
		l.try(a, 10_000, 1, strconv.FormatInt(ahead+1, 10), 10_000, 0)
		l.sees(ms(3_655_000, 3_661_000), "PTTL", l.keys[companion])
		l.free(a, inFull)
		l.letGo(a, 1, 0)
		l.sees(ms(3_655_000, 3_661_000), "PTTL", l.keys[companion])
		l.take(b, 10_000, inFull)
		l.try(b, 10_000, 1, strconv.FormatInt(ahead+2, 10), 10_000, 0)
	}, nil},
}
