package scripttest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Listen subscribes to a channel. next waits for the channel's next message;
// ok is false if none came within a few seconds.
type Listen func(channel string) (next func() (message string, ok bool))

// RunMessages runs the cases about what is published to whom, by the scripts
// and, from what they hand over, by their caller. Beside what Run needs, raw has
// to know PUBLISH.
func RunMessages(t *testing.T, exec Exec, raw Raw, listen Listen) {
	t.Helper()
	for _, push := range []string{pushed, handed} {
		t.Run("push "+push, func(t *testing.T) {
			for _, c := range messageCases {
				t.Run(c.name, func(t *testing.T) {
					by := "" // the sender of a message, to tell the script's own ones apart
					if push == handed {
						by = "the caller: "
					}
					fresh := func() *lock {
						l := newLock(t, exec, raw, "messages", push)
						l.told = func(session, message string) { l.do("PUBLISH", inboxPrefix+session, by+message) }
						return l
					}
					inTime(t, fresh, func(l *lock) {
						c.run(l, func(a backends.Token) *inbox {
							channel := inboxPrefix + string(a.Session())
							return &inbox{lock: l, channel: channel, by: by, next: listen(channel)}
						})
					})
				})
			}
		})
	}
}

const inboxPrefix = "turnstile:inbox:"

// messagesMost is how many sessions one call tells something, at most.
const messagesMost = 3

// messages takes the messages off a reply's end, notes them, and passes them on.
func (l *lock) messages(s *scripts.Script, reply any) (rest any) {
	l.Helper()
	fields, _ := reply.([]any)
	if len(fields) == 0 {
		l.Fatalf("%s replied %v", s.Name, reply)
	}
	list, ok := fields[len(fields)-1].([]any)
	most := messagesMost
	if slices.Contains(sharesTelling, s) {
		most += sharesMost
	}
	if !ok || len(list)%2 != 0 || len(list) > 2*most {
		l.Fatalf("%s replied %v, which does not end in up to %d messages", s.Name, reply, most)
	}
	from := len(l.lines)
	for pair := range slices.Chunk(list, 2) {
		session, ok1 := pair[0].(string)
		message, ok2 := pair[1].(string)
		kind := l.kind(message)
		if !ok1 || !ok2 || len(session) != len(attempt(1, 1).Session()) || kind == "" {
			l.Fatalf("%s has %q for a message", s.Name, pair)
		}
		l.lines = append(l.lines, fmt.Sprintf("told %s %s", session, kind))
		if l.told != nil {
			l.told(session, message)
		}
	}
	if most > messagesMost {
		slices.Sort(l.lines[from:]) // holders are told by when they end, which may be at the same ms or not
	}
	return fields[:len(fields)-1]
}

// given is what a message says of a lease that was given: the attempt, the base, the ask, the lease's length, and
// whether others wait.
var given = regexp.MustCompile(`^l(\d{12})(\d{16})(\d{16})(\d{8})([01])$`)

// kind returns the letter of a message about the lock; a capital one if it says that others wait; "" if it is no
// message.
func (l *lock) kind(message string) string {
	rest, ours := strings.CutSuffix(message, l.keys[itself])
	if lease := given.FindStringSubmatch(rest); ours && lease != nil {
		if lease[5] == "1" {
			return "L"
		}
		return "l"
	}
	if !ours || len(rest) != 1 || !strings.Contains("gwr", rest) {
		return ""
	}
	return rest
}

// An inbox is what a session is told.
type inbox struct {
	lock    *lock
	channel string
	by      string
	next    func() (string, bool)
}

// gets expects messages of these kinds about the lock, and
// nothing more: a marker sent after them has to come next. It returns the messages.
func (in *inbox) gets(kinds string) (messages []string) {
	in.lock.Helper()
	in.lock.do("PUBLISH", in.channel, "marker")
	for i := range len(kinds) + 1 {
		got, ok := in.next()
		message, ours := strings.CutPrefix(got, in.by)
		if i == len(kinds) {
			if !ok || got != "marker" {
				in.lock.Fatalf("%s got %q (%v) after %q", in.channel, got, ok, kinds)
			}
			break
		}
		if !ok || !ours || in.lock.kind(message) != kinds[i:i+1] {
			in.lock.Fatalf("%s got %q (%v), want %q", in.channel, got, ok, kinds[i:])
		}
		messages = append(messages, message)
	}
	return messages
}

var messageCases = []struct {
	name string
	run  func(l *lock, open func(backends.Token) *inbox)
}{
	{"a holder hears at every call of a waiter that it is wanted", func(l *lock, open func(backends.Token) *inbox) {
		a, b := attempt(1, 1), attempt(2, 1)
		holder, waiter := open(a), open(b)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		holder.gets("")
		l.heldBy(b, "host:1", 1)
		l.heldBy(b, "host:1", 1)
		holder.gets("ww")
		waiter.gets("")
	}},
	{"one that won't wait bothers nobody", func(l *lock, open func(backends.Token) *inbox) {
		a := attempt(1, 1)
		holder := open(a)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.try(attempt(2, 1), 5000, 0, "host:1", moments, ms(0, 5000), 0, 0)
		holder.gets("")
	}},
	{"the next in the queue hears that it was given the lock", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		second, third := open(b), open(c)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.heldBy(c, "host:1", 2)
		l.release(a, 1, 1)
		second.gets("L")
		third.gets("")
		l.cancel(b, 1)
		second.gets("")
		third.gets("l")
	}},
	{"a session that hears is told all of the lease that it is given", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c := attempt(1, 1), attempt(2, 31), attempt(3, 456_789_012_345)
		second, third := open(b), open(c)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		for _, l.lives = range []int{20_000, 3000} {
			l.heldBy(b, "host:1", 1)
			l.heldBy(c, "host:1", 2)
		}
		tells := func(a backends.Token, ms int, others string) string {
			return fmt.Sprintf("l%012d%s%016d%08d%s%s", a.Attempt(), l.columns()["last"], l.newest[member(a)], ms, others, l.keys[itself])
		}
		l.release(a, 1, 1)
		if got, want := second.gets("L")[0], tells(b, 3000, "1"); got != want {
			l.Fatalf("told %q, want %q", got, want)
		}
		l.lives = 1
		l.release(b, 1, 1)
		if got, want := third.gets("l")[0], tells(c, 3000, "0"); got != want {
			l.Fatalf("told %q, want %q", got, want)
		}
	}},
	{"a session whose ask has no number is only told to ask", func(l *lock, open func(backends.Token) *inbox) {
		a, b := attempt(1, 1), attempt(2, 1)
		waiter := open(b)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.call(scripts.Acquire, []string{b.Wire(), "5000", label(b), "1", "0", "1000", l.push}, []any{0, "host:1", moments, ms(0, 5000), 1, 0})
		l.release(a, 1, 1)
		waiter.gets("g")
	}},
	{"a head that was passed a free lock by somebody else hears of it, and that it is wanted", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		head := open(b)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.do("DEL", l.keys[itself])
		l.wait(c, 5000, 0, "host:2", 0, 1000, 1, 0)
		head.gets("lw")
	}},
	{"the next that hears is told when the lock is kept for one that polls", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		silent, next := open(b), open(c)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.poll(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.heldBy(c, "host:1", 2)
		l.aged(b)
		l.release(a, 1, 1)
		l.wait(c, 5000, 0, "host:2", moments, ms(0, 75), 1, 0) // at once: it is kept for 75 ms
		silent.gets("gw")                                      // for all the server knows it hears again
		next.gets("g")
	}},
	{"one that asks for a free lock that is then kept for a poller may have three to tell", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c, d := attempt(1, 1), attempt(2, 1), attempt(3, 1), attempt(4, 1)
		silent, next, last := open(b), open(c), open(d)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.poll(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.heldBy(c, "host:1", 2)
		l.aged(b)
		l.do("DEL", l.keys[itself])
		l.wait(d, 5000, 0, "host:2", 0, 75, 2, 0)
		silent.gets("gw")
		next.gets("g")
		last.gets("")
	}},
	{"a holder whose token a pylock has overwritten hears as well that it is wanted", func(l *lock, open func(backends.Token) *inbox) {
		a, b := attempt(1, 1), attempt(2, 1)
		holder := open(a)
		l.leftOver()
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.overwritten(1)
		l.heldBy(b, "host:1", 1)
		holder.gets("w")
	}},
	{"the holder of a revoked lease hears of it, at every revoke", func(l *lock, open func(backends.Token) *inbox) {
		a, b, base := attempt(1, 1), attempt(2, 1), ""
		holder, waiter := open(a), open(b)
		l.revoke("0", 0)
		l.leftOver()
		l.try(a, 5000, 1, mint(&base), 5000, 0)
		l.revoke("1", 1)
		holder.gets("")
		l.revoke("0", 3)
		l.revoke(base, 3)
		holder.gets("rr")
		l.heldBy(b, "host:1", 1)
		holder.gets("w")
		l.overwritten(1)
		l.revoke("0", 3)
		holder.gets("r")
		l.end("0", 4)
		holder.gets("r")
		waiter.gets("l")
		l.revoke("0", 3) // it may hold it by now
		waiter.gets("r")
	}},
	{"whose lock rested hears of the end by force", func(l *lock, open func(backends.Token) *inbox) {
		for n, force := range []func(string, int){l.revoke, l.end} {
			a, b := attempt(1, uint64(n+1)), attempt(2, uint64(n+1))
			holder, waiter := open(a), open(b)
			l.try(a, 5000, 1, fresh(), 5000, 0)
			l.rest(a, 9000, 1, 0)
			l.release(a, 0) // a late copy
			l.wait(b, 5000, 0, "host:1", -1, ms(0, 9000), 1, 0)
			force("0", 4)
			holder.gets("r")
			waiter.gets("l")
			l.release(b, 1, 0)
		}
	}},
	{"one that ends a lease which is then kept for a poller has three to tell", func(l *lock, open func(backends.Token) *inbox) {
		a, b, c := attempt(1, 1), attempt(2, 1), attempt(3, 1)
		holder, silent, next := open(a), open(b), open(c)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.poll(b, 5000, 0, "host:1", moments, ms(0, 5000), 1, 0)
		l.heldBy(c, "host:1", 2)
		holder.gets("ww")
		l.aged(b)
		l.end("0", 4)
		holder.gets("r")
		silent.gets("g")
		next.gets("g")
	}},
	{"nobody hears of the end of another library's lock but who is given it", func(l *lock, open func(backends.Token) *inbox) {
		a := attempt(1, 1)
		waiter := open(a)
		l.do("SET", l.keys[itself], uuid, "PX", "5000")
		l.wait(a, 5000, 0, "", -1, ms(0, 5000), 1, 1)
		l.revoke("0", 2)
		waiter.gets("")
		l.end("0", 4)
		waiter.gets("l")
	}},
	{"one whom the reply already tells is not told again", func(l *lock, open func(backends.Token) *inbox) {
		a, b := attempt(1, 1), attempt(2, 1)
		head := open(b)
		l.try(a, 5000, 1, fresh(), 5000, 0)
		l.heldBy(b, "host:1", 1)
		l.do("DEL", l.keys[itself])
		l.wait(b, 5000, 1, fresh(), 5000, 0)
		l.release(b, 1, 0)
		head.gets("")
	}},
}
