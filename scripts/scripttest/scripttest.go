// Package scripttest holds the cases that the lock's scripts must pass on
// every engine that runs them: a Redis server, the embedded one.
//
// The expected replies are reasoned from the scripts' headers. Fence bases and
// times differ from run to run and are held against bounds; everything else
// must agree to the letter, and to the type. Time is not waited for: where a
// case needs a session to be dead or a clock to have stepped back, it writes
// what that leaves behind.
package scripttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Exec runs a script. Replies are int64, string, nil, or []any of these.
type Exec func(script *scripts.Script, keys []string, args ...string) (any, error)

// Raw runs one command, to look inside and to set a case's scene. Replies are
// as for Exec: nil, and no error, for a null. The cases use GET, SET, DEL,
// EXISTS, PTTL, PEXPIRE, PERSIST, HGET, HSET, HDEL, HLEN, ZADD, ZRANK, ZCARD, ZSCORE and TIME.
type Raw func(cmd ...string) (any, error)

// Run puts an engine through all cases, one after another, first with scripts
// that publish, then with scripts that hand their messages to the caller. Keys
// begin with "pylock:scripttest:"; what earlier runs left there is deleted.
//
// It returns what was replied, a line a call, with fence bases and times masked:
// two engines that agree return the same lines.
func Run(t *testing.T, exec Exec, raw Raw) []string {
	t.Helper()
	groups := [][]testCase{
		holdCases, renewCases, queueCases, pollCases, settleCases, givenUpCases, foreignCases, overwrittenCases, givenCases,
		revokeCases, restCases, keepCases, fastCases, beatCases, quietCases, raceCases,
		shareCases, shareOrderCases, shareEndCases, permitCases, markerCases,
	}
	var transcript []string
	for _, push := range []string{pushed, handed} {
		t.Run("push "+push, func(t *testing.T) {
			for _, c := range slices.Concat(groups...) {
				for _, name := range c.keys() {
					t.Run(c.name+" "+name, func(t *testing.T) {
						l := inTime(t, func() *lock { return newLock(t, exec, raw, name, push) }, c.run)
						transcript = append(transcript, "# "+c.name)
						transcript = append(transcript, l.lines...)
					})
				}
			}
		})
	}
	return transcript
}

// What the verbs' push says: the script publishes, or the caller does.
const (
	pushed = "1"
	handed = "0"
)

// A testCase is one sequence of calls on one key.
type testCase struct {
	name string
	run  func(*lock)
	odd  []string // keys to run it with besides the plain one
}

func (c testCase) keys() []string {
	return append([]string{"k"}, c.odd...)
}

// oddKeys end in what the companion's name has to cope with.
var oddKeys = []string{"{tag}k", "{}k", "}k{", "{{k}}", "two words", "sch\u00f6n", "\xff\x01"}

// A lock is one key of a case, and what was said about it.
type lock struct {
	*testing.T
	exec  Exec
	raw   Raw
	keys  []string
	push  string
	lines []string
	// told gets what a script hands to its caller; nil discards it.
	told func(session, message string)
	// forever: the case put a foreign lock without a ttl there, and it must stay.
	forever bool
	// began is the engine's clock at the start, in µs.
	began int64
	// lasting: beats have the names beside the lock last.
	lasting bool
	// again: if the case fails late, it is repeated.
	again bool
	// newest are the numbers of the attempts' newest asks, by member; numbered counts them. lives is what each ask
	// says of alive, ms.
	newest   map[string]uint64
	numbered uint64
	lives    int
}

func newLock(t *testing.T, exec Exec, raw Raw, name, push string) *lock {
	l := &lock{T: t, exec: exec, raw: raw, push: push, keys: scripts.ShareKeys("pylock:scripttest:" + name), newest: map[string]uint64{}, lives: 1000}
	l.do(append([]string{"DEL"}, l.keys...)...)
	l.began = l.now()
	return l
}

// The parts of a lock, as indexes of its keys.
const (
	itself = iota
	companion
	more
	queue
	alive
	holders
	shares
)

// attempt returns attempt n of the session numbered s. The numbers are fixed,
// so that the transcripts of two engines can be compared.
func attempt(s, n uint64) backends.Token {
	return backends.Session(fmt.Sprintf("%020d", s)).Token(n)
}

// member is an attempt as the queue has it.
func member(a backends.Token) string { return strings.TrimPrefix(a.Wire(), backends.Stamp) }

func label(a backends.Token) string { return "host:" + strings.TrimLeft(string(a.Session()), "0") }

// acquire calls the script and holds its reply against the fields.
func (l *lock) acquire(a backends.Token, ttl int, wait string, fields ...any) {
	l.Helper()
	l.call(scripts.Acquire, []string{a.Wire(), fmt.Sprint(ttl), label(a), wait, l.ask(a), fmt.Sprint(l.lives), l.push}, fields)
}

// ask returns a number for an attempt's next ask: the largest are exact, too.
func (l *lock) ask(a backends.Token) string {
	l.numbered++
	l.newest[member(a)] = 1<<53 - l.numbered
	return strconv.FormatUint(l.newest[member(a)], 10)
}

// try is an acquire for ttl ms that does not queue; wait is one that does; poll
// does so for a session that hears no pushes.
func (l *lock) try(a backends.Token, ttl int, fields ...any) {
	l.Helper()
	l.acquire(a, ttl, "0", fields...)
}

func (l *lock) wait(a backends.Token, ttl int, fields ...any) {
	l.Helper()
	l.acquire(a, ttl, "1", fields...)
}

func (l *lock) poll(a backends.Token, ttl int, fields ...any) {
	l.Helper()
	l.acquire(a, ttl, "2", fields...)
}

// seldom does so for a session that will never hear any, and takes its time.
func (l *lock) seldom(a backends.Token, ttl int, fields ...any) {
	l.Helper()
	l.acquire(a, ttl, "3", fields...)
}

func (l *lock) renew(a backends.Token, ttl int, known string, fields ...any) {
	l.Helper()
	l.call(scripts.Renew, []string{a.Wire(), fmt.Sprint(ttl), known}, fields)
}

// Both settle the attempt. The quiet cases try them without.
const mark = "1"

func (l *lock) release(a backends.Token, fields ...any) {
	l.Helper()
	l.call(scripts.Release, []string{a.Wire(), mark, l.push}, fields)
}

func (l *lock) cancel(a backends.Token, fields ...any) {
	l.Helper()
	l.call(scripts.Cancel, []string{a.Wire(), mark, l.push}, fields)
}

// inspect is of a lease that is not revoked.
func (l *lock) inspect(fields ...any) {
	l.Helper()
	l.call(scripts.Inspect, nil, append(fields, 0, firstOf(fields)))
}

// firstOf is inspect's answer for a lease's first base. It is unknown if nobody has
// the lease, or if a waiter has it that has not confirmed it and so shows no label.
// It is no later than the newest base.
func firstOf(fields []any) any {
	newest, ok := fields[4].(string)
	if fields[0] != 1 || fields[1] == "" || !ok {
		return ""
	}
	return check{"base", func(v any) error {
		if first, ok := v.(string); !ok || len(first) != len(newest) || first > newest {
			return fmt.Errorf("%v (%T) as the first base, of which %s is the newest", v, v, newest)
		}
		return nil
	}}
}

// revoke asks for the end of the lease that minted base, '0' for any, and ends
// for it there and then; the reply has one number.
func (l *lock) revoke(base string, found int) {
	l.Helper()
	l.call(scripts.Revoke, []string{base, "0", l.push}, []any{found})
}

func (l *lock) end(base string, found int) {
	l.Helper()
	l.call(scripts.Revoke, []string{base, "1", l.push}, []any{found})
}

// telling are the verbs that may have something to tell.
var telling = append([]*scripts.Script{
	scripts.Acquire, scripts.Release, scripts.Rest, scripts.Cancel, scripts.Revoke,
}, sharesTelling...)

func (l *lock) call(s *scripts.Script, args []string, fields []any) {
	l.Helper()
	got, err := l.exec(s, s.Keys(l.keys[itself]), args...)
	if err != nil {
		l.Fatalf("%s: %v", s.Name, err)
	}
	rest := got
	if l.push == handed && slices.Contains(telling, s) {
		rest = l.messages(s, got)
	}
	if s == scripts.Inspect {
		rest = l.waiters(rest)
	}
	rest = l.toAttempt(s, args, rest)
	rest, quiet := l.quiet(s, rest)
	line, err := compare(rest, fields)
	if err != nil {
		l.Fatalf("%s replied %v: %v", s.Name, got, err)
	}
	l.lines = append(l.lines, s.Name+" "+line+quiet)
	if len(fields) > 1 || fields[0] != -1 { // of a settled attempt nothing was done
		l.checkState(s)
	}
}

// toAttempt takes off a reply the number of the attempt that it is to.
func (l *lock) toAttempt(s *scripts.Script, args []string, reply any) any {
	l.Helper()
	if slices.Contains([]*scripts.Script{scripts.Inspect, scripts.Revoke, scripts.InspectShares, scripts.RevokeShares}, s) {
		return reply
	}
	fields, _ := reply.([]any)
	if len(fields) == 0 || fmt.Sprintf("%012d", fields[0]) != args[0][len(args[0])-12:] {
		l.Fatalf("%s replied %v to %s", s.Name, reply, args[0])
	}
	return fields[1:]
}

// do runs a command of the case's own.
func (l *lock) do(cmd ...string) any {
	l.Helper()
	v, err := l.raw(cmd...)
	if err != nil {
		l.T.Fatalf("%v: %v", cmd, err)
	}
	return v
}

// sees runs a command and holds its reply against one field.
func (l *lock) sees(field any, cmd ...string) {
	l.Helper()
	got := l.do(cmd...)
	line, err := compare([]any{got}, []any{field})
	if err != nil {
		l.Fatalf("%q: %v: %v", cmd, got, err)
	}
	l.lines = append(l.lines, cmd[0]+" "+line)
}

// holder checks whose value stands under the lock; nil: nobody's.
func (l *lock) holder(a *backends.Token) {
	l.Helper()
	if a == nil {
		l.sees(nil, "GET", l.keys[itself])
		return
	}
	l.sees(a.Wire(), "GET", l.keys[itself])
}

// checkTTLs: whatever happened, nothing may be left on the server for good.
func (l *lock) checkTTLs() {
	l.Helper()
	for i, key := range l.keys {
		if ttl := l.do("PTTL", key); ttl == int64(-1) && !(i == itself && l.forever) {
			l.Errorf("%q has no ttl", key)
		}
	}
}

// now is the engine's clock in µs.
func (l *lock) now() int64 {
	l.Helper()
	t, ok := l.do("TIME").([]any)
	if !ok || len(t) != 2 {
		l.T.Fatalf("TIME: %v", t)
	}
	return number(l, t[0])*1e6 + number(l, t[1])
}
