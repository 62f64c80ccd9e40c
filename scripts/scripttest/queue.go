package scripttest

import (
	"strconv"

	"github.com/turnstile-go/turnstile/backends"
)

// dead puts n members into the queue, ahead of everybody, that nobody has
// heard of for long.
func (l *lock) dead(n int) {
	l.Helper()
	order, ended := []string{"ZADD", l.keys[queue]}, []string{"HSET", l.keys[alive]}
	for i := range n {
		m := member(attempt(uint64(1_000_000+i), 1))
		order, ended = append(order, strconv.Itoa(i), m), append(ended, m, past("1"))
	}
	l.do(order...) // at once: a live waiter counts as waiting for a second
	l.do(ended...)
	l.do("PEXPIRE", l.keys[queue], "60000")
	l.do("PEXPIRE", l.keys[alive], "60000")
}

// silence makes a waiting session look as if it had stopped asking.
func (l *lock) silence(a backends.Token) {
	l.Helper()
	l.do("HSET", l.keys[alive], member(a), past("1"))
}

// past is an ask of long ago, with acquire's argument wait.
func past(wait string) string { return ask("0000000000001", wait, "label") }

// ask is what alive keeps of one that counts until then, ms, with acquire's argument wait.
func ask(until, wait, label string) string {
	return until + wait + "00001000" + "0000000000000001" + "x0000000" + label
}

// heldBy is how a held lock is described to one who waits at a place.
func (l *lock) heldBy(waiter backends.Token, owner string, place int) {
	l.Helper()
	l.wait(waiter, 5000, 0, owner, moments, ms(0, 5000), place, 0)
}

var queueCases = []testCase{
	{"a long queue is counted, and its first are looked at", func(l *lock) {
		a, base := attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		for i := range 105 {
			waiter := attempt(uint64(2+i), 1)
			l.heldBy(waiter, "host:1", i+1)
			l.do("HSET", l.keys[alive], member(waiter), ask("9999999999999", "1", label(waiter))) // however long the others take
		}
		l.inspect(1, "host:1", moments, ms(0, 5000), base, 105)
		l.silence(attempt(3, 1))
		l.inspect(1, "host:1", moments, ms(0, 5000), base, 104)
	}, nil},
	{"sessions are served in the order of their arrival", func(l *lock) {
		a, b, c, d, base := attempt(4, 1), attempt(3, 1), attempt(2, 1), attempt(1, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:4", 1)
		l.heldBy(c, "host:4", 2)
		l.heldBy(d, "host:4", 3)
		l.heldBy(b, "host:4", 1) // asking again keeps the place
		l.release(a, 1, 1)
		l.holder(&b)
		l.sees(ms(0, 1000), "PTTL", l.keys[itself])
		l.heldBy(d, "host:3", 2) // given, and not confirmed yet
		l.wait(b, 5000, 1, mint(&base), 5000, 1)
		l.sees(ms(4000, 5000), "PTTL", l.keys[itself])
		l.heldBy(c, "host:3", 1)
		l.release(b, 1, 1)
		l.wait(c, 5000, 1, mint(&base), 5000, 1)
		l.release(c, 1, 1)
		l.try(d, 5000, 1, mint(&base), 5000, 0) // a last look before giving up finds the gift
		l.sees(0, "EXISTS", l.keys[queue])
		l.release(d, 1, 0)
		l.holder(nil)
	}, oddKeys},
	{"a gift is confirmed with the full lease, and its base grows", func(l *lock) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.release(a, 1, 1)
		l.column("last", mint(&base)) // a gift is a grant
		l.wait(b, 30_000, 1, mint(&base), 30_000, 0)
		l.sees(ms(29_000, 30_000), "PTTL", l.keys[itself])
		l.release(a, 0) // again, late: b's now
		l.holder(&b)
	}, nil},
	{"nobody barges past a live head", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.do("DEL", l.keys[itself]) // a's lease ended
		l.try(c, 5000, 0, "host:2", 0, 1000, 0, 0)
		l.holder(&b)
		l.wait(b, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"the head itself takes a free lock", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.do("DEL", l.keys[itself])
		l.wait(b, 5000, 1, fresh(), 5000, 1)
		l.heldBy(c, "host:2", 1)
	}, nil},
	{"one that asks for a promised lock is queued behind its head", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.do("DEL", l.keys[itself])
		l.wait(c, 5000, 0, "host:2", 0, 1000, 1, 0)
		l.wait(b, 5000, 1, fresh(), 5000, 1)
	}, nil},
	{"a dead head is skipped", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.silence(b)
		l.release(a, 1, 1)
		l.holder(&c)
		l.sees(nil, "ZRANK", l.keys[queue], member(b))
		// It is no worse than late: b asks again and is queued again.
		l.heldBy(b, "host:3", 1)
	}, nil},
	{"a lock whose waiters are all dead is free", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.silence(b)
		l.release(a, 1, 0)
		l.holder(nil)
		l.sees(0, "EXISTS", l.keys[queue])
		l.try(c, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"more dead heads than one call may skip take several", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.dead(130)
		l.release(a, 1, 0) // 66 are left before b
		l.holder(nil)
		l.sees(67, "ZCARD", l.keys[queue])
		l.sees(1, "EXISTS", l.keys[queue])
		l.try(c, 5000, 0, "", -1, 0, 0, 0) // nobody is known to be first, so nobody gets it
		l.holder(nil)
		l.sees(3, "ZCARD", l.keys[queue])
		l.try(c, 5000, 0, "host:2", 0, 1000, 0, 0)
		l.holder(&b)
		l.wait(b, 5000, 1, fresh(), 5000, 0)
	}, nil},
	{"live waiters behind many dead ones still count", func(l *lock) {
		a, b, c, base := attempt(1, 1), attempt(2, 1), attempt(3, 1), ""
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.dead(150)
		l.try(a, 5000, 1, mint(&base), 5000, 1)
		l.sees(1, "EXISTS", l.keys[queue])
		l.renew(a, 5000, base, 1, mint(&base), 5000, 1)
		l.sees(1, "EXISTS", l.keys[queue])
		l.do("DEL", l.keys[itself])
		l.try(c, 5000, 0, "host:2", 0, 1000, 0, 0)
		l.holder(&b)
	}, nil},
}
