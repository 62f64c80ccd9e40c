package scripttest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

const uuid = "5c3f6e0a-3f3c-4d9b-9a55-0f2d6b1d7e11"

// foreign is how another library's lock is described.
func (l *lock) foreign(a backends.Token, free any) {
	l.Helper()
	l.try(a, 5000, 0, "", -1, free, 0, 1)
}

// What other libraries leave under the key.
var foreignCases = []testCase{
	{"another library's lock is respected", func(l *lock) {
		a := attempt(1, 1)
		l.sees("OK", "SET", l.keys[itself], uuid, "NX", "PX", "5000")
		l.foreign(a, ms(0, 5000))
		l.sees(0, "EXISTS", l.keys[companion])
		l.inspect(2, "", -1, ms(0, 5000), "", 0)
		l.renew(a, 60_000, "1", 0)
		l.release(a, 0)
		l.cancel(a, 0)
		l.sees(uuid, "GET", l.keys[itself])
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
	}, oddKeys},
	{"one waits for another library's lock in the queue", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.do("SET", l.keys[itself], uuid, "PX", "5000")
		l.wait(a, 5000, 0, "", -1, ms(0, 5000), 1, 1)
		l.wait(b, 5000, 0, "", -1, ms(0, 5000), 2, 1)
		l.do("DEL", l.keys[itself])
		l.wait(b, 5000, 0, "host:1", 0, 1000, 1, 0)
		l.wait(a, 5000, 1, fresh(), 5000, 1)
	}, nil},
	{"a lock of ours keeps other libraries out", func(l *lock) {
		a := attempt(1, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.sees(nil, "SET", l.keys[itself], uuid, "NX", "PX", "5000")
		l.holder(&a)
	}, nil},
	{"a foreign lock without a ttl never ends", func(l *lock) {
		l.forever = true
		for _, value := range []string{uuid, "1", "0", "-1", "", "locked", "12345", "true", "nan", "-inf",
			"0x7fffffff", " 1700000000", "1700000000 ", "1700000000\n", "+1700000000", "1.7e9", "17e8", ".17e10"} {
			l.do("SET", l.keys[itself], value)
			l.foreign(attempt(1, 1), -1)
			l.sees(value, "GET", l.keys[itself])
		}
		l.inspect(2, "", -1, -1, "", 0)
	}, nil},
	{"what a crashed pylock left behind is taken over", func(l *lock) {
		base := ""
		for i, value := range []string{"1500000000.25", "1500000000", fmt.Sprintf("%d.75", l.now()/1e6-1)} {
			a := attempt(uint64(i), 1)
			l.do("SET", l.keys[itself], value)
			l.try(a, 5000, 1, mint(&base), 5000, 0)
			l.holder(&a)
			l.release(a, 1, 0)
		}
	}, nil},
	{"what a crashed pylock left behind goes to the head of the queue", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.over()
		l.do("SET", l.keys[itself], "1500000000.25")
		l.try(c, 5000, 0, "host:2", 0, 1000, 0, 0)
		l.holder(&b)
	}, nil},
	{"a live pylock is respected", func(l *lock) {
		l.forever = true
		const value = "4000000000.5" // the year 2096
		l.do("SET", l.keys[itself], value)
		l.foreign(attempt(1, 1), -1) // between its SETNX and its EXPIRE
		l.do("PEXPIRE", l.keys[itself], "5000")
		l.foreign(attempt(1, 1), ms(0, 5000))
		l.sees(value, "GET", l.keys[itself])
	}, nil},
	{"a pylock whose time is over keeps its ttl", func(l *lock) {
		l.do("SET", l.keys[itself], "1500000000.25", "PX", "5000")
		l.foreign(attempt(1, 1), ms(0, 5000))
		l.sees("1500000000.25", "GET", l.keys[itself])
	}, nil},
	{"a value that only looks like ours is foreign", func(l *lock) {
		l.forever = true
		for _, value := range []string{backends.Stamp, backends.Stamp + "123", "5102444800.1" + member(attempt(1, 1))} {
			l.do("SET", l.keys[itself], value)
			l.foreign(attempt(1, 2), -1)
		}
	}, nil},
}
