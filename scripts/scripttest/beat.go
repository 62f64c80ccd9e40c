package scripttest

import (
	"fmt"
	"strings"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// A pulse is one key of a call of the script beat, and what is wanted of it: the member that has the lock, as
// from and to the ms that it lasts, or asksInFull.
type pulse struct {
	lock *lock
	a    backends.Token
	want string
	ends check
}

const asksInFull = "0"

// beats: the attempt waits for a lock that b has, which ends in so many ms.
func (l *lock) beats(a, b backends.Token, ends check) pulse {
	return pulse{lock: l, a: a, want: member(b), ends: ends}
}

// stops: nothing is done for the attempt.
func (l *lock) stops(a backends.Token) pulse { return pulse{lock: l, a: a, want: asksInFull} }

// beat calls the script and holds each word of its reply against what is wanted, and what is said of the attempt against
// what it was. With push '0' it passes on what the words say that the caller has to.
func (l *lock) beat(lives int, pulses ...pulse) {
	l.Helper()
	var keys, was []string
	argv := []string{fmt.Sprint(lives), l.push}
	for _, p := range pulses {
		keys = append(keys, p.lock.keys[itself], p.lock.keys[alive])
		if l.lasting {
			keys = append(keys, p.lock.keys[companion], p.lock.keys[more], p.lock.keys[queue])
		}
		argv = append(argv, p.a.Wire(), fmt.Sprintf("%016s", l.ask(p.a)))
		was = append(was, p.lock.says(p.a))
	}
	reply, err := l.exec(scripts.Beat, keys, argv...)
	if err != nil {
		l.Fatalf("beat: %v", err)
	}
	text, _ := reply.(string)
	words := strings.Split(text, " ")
	if len(words) != 1+len(pulses) || words[0] != argv[3] {
		l.Fatalf("beat replied %q to %d items, the first numbered %s", text, len(pulses), argv[3])
	}
	for i, p := range pulses {
		word, says := words[i+1], p.lock.says(p.a)
		if p.want == asksInFull {
			if word != p.want || says != was[i] {
				l.Fatalf("beat replied %q to item %d, want %q; its attempt says %q, and said %q", word, i, p.want, says, was[i])
			}
			continue
		}
		left, holder, _ := strings.Cut(word, ":")
		if err := p.ends.ok(number(l, left)); err != nil || holder != p.want {
			l.Fatalf("beat replied %q to item %d, want %s: %v", word, i, p.want, err)
		}
		until, rest := says[:13], says[13:]
		if want := fmt.Sprintf("1%08d%016d", lives, l.newest[member(p.a)]) + was[i][38:]; rest != want {
			l.Fatalf("the attempt of item %d says %q, want %q", i, rest, want)
		}
		if ms := l.now() / 1000; number(l, until) > ms+int64(lives) || number(l, until) <= ms+int64(lives)-300_000 {
			l.Fatalf("the attempt of item %d is alive until %s, at %d", i, until, ms)
		}
		if l.push == handed && l.told != nil {
			l.told(holder[:20], "w"+p.lock.keys[itself])
		}
	}
	l.lines = append(l.lines, fmt.Sprintf("beat %d items", len(pulses)))
}

// waits has an attempt wait for the first session, at a place.
func (l *lock) waits(a backends.Token, place int) {
	l.Helper()
	l.wait(a, 60_000, 0, "host:1", moments, ms(50_000, 60_000), place, 0)
}

// says is what the queue has of an attempt's newest ask, or an error; "" if it does not wait.
func (l *lock) says(a backends.Token) string {
	l.Helper()
	reply, err := l.raw("HGET", l.keys[alive], member(a))
	if err != nil {
		return err.Error() // somebody else's
	}
	text, _ := reply.(string)
	return text
}

// Many waiting attempts in one call: each as by acquire, but for what acquire is better asked for.
var beatCases = []testCase{
	{"a beat keeps a place, with a new number and for as long as it says", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.waits(b, 1)
		l.waits(c, 2)
		l.beat(3000, l.beats(b, a, ms(50_000, 60_000)))
		l.beat(1000, l.beats(c, a, ms(50_000, 60_000)))
		l.silence(b)
		l.beat(3000, l.beats(b, a, ms(50_000, 60_000))) // dead for others, and nobody came by
		l.letGo(a, 1, 1)
		l.holder(&b)
		l.sees(ms(2000, 3000), "PTTL", l.keys[itself])
		l.beat(1000, l.stops(b)) // it has the lock
		l.beat(1000, l.beats(c, b, ms(1000, 3000)))
	}, oddKeys},
	{"a beat that is to has the queue last, and all that goes with it", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 600_000, 1, fresh(), 600_000, 0)
		l.wait(b, 600_000, 0, "host:1", moments, ms(500_000, 600_000), 1, 0)
		fade := func(keys ...int) {
			for _, i := range keys {
				l.do("PEXPIRE", l.keys[i], "10000")
			}
		}
		fade(companion, queue, alive)
		l.beat(1000, l.beats(b, a, ms(500_000, 600_000)))
		for _, i := range []int{companion, queue, alive} {
			l.sees(ms(5000, 10_000), "PTTL", l.keys[i])
		}
		l.lasting = true
		l.beat(1000, l.beats(b, a, ms(500_000, 600_000)))
		for _, i := range []int{companion, queue, alive} {
			l.sees(ms(55_000, 60_000), "PTTL", l.keys[i])
		}
		l.cancel(attempt(3, 1), 0) // remembered in more
		l.do("PEXPIRE", l.keys[companion], "600000")
		fade(more)
		l.beat(1000, l.beats(b, a, ms(500_000, 600_000)))
		l.sees(ms(55_000, 60_000), "PTTL", l.keys[more])
		l.sees(ms(550_000, 600_000), "PTTL", l.keys[companion]) // nothing lasts for less
		l.evicted()
		l.beat(1000, l.stops(b))
		l.wait(b, 600_000, 0, "", -1, ms(500_000, 600_000), 1, 0)
		l.beat(1000, l.beats(b, a, ms(500_000, 600_000)))
	}, oddKeys},
	{"a beat never queues an attempt", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.beat(1000, l.stops(b))
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.beat(1000, l.stops(b))
		l.waits(b, 1)
		l.beat(1000, l.beats(b, a, ms(50_000, 60_000)))
		l.drop(b, 0)
		l.beat(1000, l.stops(b)) // a late one
		l.beat(1000, l.stops(attempt(2, 2)))
		l.letGo(a, 1, 0)
		l.holder(nil)
	}, nil},
	{"a free lock is asked for in full", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.waits(b, 1)
		l.do("DEL", l.keys[itself])
		l.beat(1000, l.stops(b))
		l.holder(nil)
	}, nil},
	{"and one that another library's client has, for ever or not", func(l *lock) {
		b := attempt(2, 1)
		l.do("SET", l.keys[itself], "theirs", "PX", "60000")
		l.foreign(b, ms(50_000, 60_000))
		l.beat(1000, l.stops(b))
		l.do("DEL", l.keys[itself])
	}, nil},
	{"so is one that waits for shares, since it may have to tell their holders, or find that one has ended", func(l *lock) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		l.gets(a, permits(1, 1), 60_000, 1, 0)
		for place, w := range []wish{permits(1, 1), writes} {
			waiter := []backends.Token{b, c}[place]
			l.wants(waiter, w, 60_000, waits, 0, "host:1", moments, ms(50_000, 60_000), place+1, 0, "p", 1)
			l.beat(1000, l.stops(waiter))
		}
	}, nil},
	{"one that waits for a share of a lock beats, and goes on to want a share", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.wants(b, permits(7, 3), 60_000, waits, 0, "host:1", moments, ms(50_000, 60_000), 1, 0, "x", 0)
		l.beat(3000, l.beats(b, a, ms(50_000, 60_000)))
		l.call(scripts.Inspect, nil, []any{1, "host:1", moments, ms(50_000, 60_000), masked0, 1, 0, masked0})
		l.letGo(a, 1, 1)
		l.gets(b, permits(7, 3), 60_000, 3, 0)
	}, nil},
	{"a lock without an end is never over", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		l.try(a, 60_000, 1, fresh(), 60_000, 0)
		l.waits(b, 1)
		l.do("PERSIST", l.keys[itself])
		l.beat(1000, l.beats(b, a, ms(-2, -1)))
		l.do("DEL", l.keys[itself])
	}, nil},
	{"one call has many items, and what ails one is not the others' business", func(l *lock) {
		a, b := attempt(1, 1), attempt(2, 1)
		list, hash, gone := l.another("wrong"), l.another("wrong too"), l.another("gone")
		for _, of := range []*lock{l, list, hash} {
			of.try(a, 60_000, 1, fresh(), 60_000, 0)
			of.waits(b, 1)
		}
		list.do("DEL", list.keys[itself])
		list.do("HSET", list.keys[itself], "a", "b")
		hash.do("DEL", hash.keys[alive])
		hash.do("SET", hash.keys[alive], "a", "PX", "60000")
		l.beat(1000, list.stops(b), l.beats(b, a, ms(50_000, 60_000)), gone.stops(b), hash.stops(b), l.beats(b, a, ms(50_000, 60_000)))
		list.do("DEL", list.keys[itself])
		l.ends(list, hash, gone)
	}, nil},
}
