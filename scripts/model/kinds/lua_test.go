package kinds

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestTheScriptsDoWhatTheModelDoes runs each request of a random interleaving by the scripts as well: from the
// model's state before it, they have to come to the model's state after it, to its reply and its messages. By hand:
//
//	go test ./scripts/model/kinds -run TestTheScripts -rapid.checks=100000
func TestTheScriptsDoWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlay(rt)
		p.beside = &lua{rt: rt}
		for n := rapid.IntRange(1, 60).Draw(rt, "events"); n > 0; n-- {
			e := rapid.SampledFrom(p.events(rt, true, true)).Draw(rt, "event")
			rt.Log(e.name)
			e.do()
		}
	})
}

// The scripts count in µs, and read times before 2001 as no times at all.
const (
	offset = int64(1_700_000_000_000) // ms
	slack  = int64(3)                 // ms: the scripts round up, and a key lives through its last ms
)

var names = scripts.ShareKeys("k")

// lua runs the scripts beside the model.
type lua struct {
	rt    *rapid.T
	keys  *keyspace.Keyspace
	calls int
}

var (
	programs = sync.OnceValue(func() map[*scripts.Script]*engine.Program {
		all := map[*scripts.Script]*engine.Program{}
		for _, s := range append(append(scripts.Mutex(), scripts.Shares()...), scripts.Fast) {
			p, err := engine.Compile(s.Name, s.Hoisted())
			if err != nil {
				panic(err)
			}
			all[s] = p
		}
		return all
	})
	vms sync.Pool // of *engine.VM: one costs more than a run
)

// A request is what a session sends for a call.
type request struct {
	script *scripts.Script
	args   []string
}

func (r request) of(list ...*scripts.Script) bool {
	for _, s := range list {
		if r.script == s {
			return true
		}
	}
	return false
}

// runs lets both run a call, and compares them.
func (l *lua) runs(c *call) reply {
	s := &c.s.p.store
	l.enter(s)
	before := s.String()
	lease, _ := s.stray()
	r := c.request(l.calls%2 == 0 && !lease.marker) // the mutex's renew, release and cancel put no marker back
	l.calls++
	got := l.execute(r)
	if r.script == scripts.Acquire && got.Array[1].Int == -2 { // shares are out
		r = c.request(false)
		got = l.execute(r)
	}
	want := c.serve()
	if said := r.replied(got, want, s); said != "" {
		l.rt.Fatalf("%s %q: %s\nbefore %s\nmodel  %+v", r.script.Name, r.args, said, before, want)
	}
	if want.outcome != settledBefore { // of which nothing was done; the model seals nothing, either
		l.compare(s, r, before, !r.of(scripts.Release, scripts.Cancel)) // which tell nobody that one is out of the way
	}
	return want
}

func (l *lua) execute(r request) keyspace.Reply {
	vm, _ := vms.Get().(*engine.VM)
	if vm == nil {
		vm = engine.New(l.keys)
	} else {
		vm.Rebind(l.keys)
	}
	defer vms.Put(vm)
	keys := r.script.Keys("k")
	if r.script == scripts.Fast {
		keys = keys[:2]
	}
	got, err := vm.Run(programs()[r.script], keys, r.args)
	if err != nil {
		l.rt.Fatalf("%s %q: %v", r.script.Name, r.args, err)
	}
	return got
}

func (l *lua) compare(s *store, r request, before string, told bool) {
	if differs := l.differs(s, told); differs != "" {
		l.rt.Fatalf("%s %q: %s\nbefore %s\nafter  %s", r.script.Name, r.args, differs, before, s)
	}
}

// revokes lets both revoke shares. Locks, and what is no lease, are revoked in the package above as well.
func (l *lua) revokes(s *store, base int64, now bool) (more bool) {
	s.expire()
	if lease, _ := s.stray(); s.lock.is != marker && !lease.marker {
		return s.revoke(base, now)
	}
	l.enter(s)
	before := s.String()
	said := "0"
	if base != 0 {
		said = column(base)
	}
	r := request{scripts.Revoke, []string{said, bit(now), "1"}}
	if got := l.execute(r); got.Array[0].Int == -2 {
		r = request{scripts.RevokeShares, append(r.args, "-inf")}
		l.execute(r)
	}
	more = s.revoke(base, now)
	l.compare(s, r, before, false) // of many that end it tells those that wait once
	return more
}

func bit(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// request is what the session sends. plain: by the mutex's verb, if that does.
func (c *call) request(plain bool) request {
	t, ttl := stamped+wire(c.a.token), strconv.FormatInt(c.ttl, 10)
	plain = plain && c.a.kind == exclusive && !c.a.turned()
	kind, n, want := wanted3(c.wish)
	switch {
	case c.verb == acquiring && c.fast:
		return request{scripts.Fast, []string{"0", t, ttl, "label"}}
	case c.fast:
		return request{scripts.Fast, []string{"1", t}}
	case c.verb == acquiring && plain:
		return request{scripts.Acquire, []string{t, ttl, "label", "1", "0", "1000", "1"}}
	case c.verb == acquiring:
		return request{scripts.AcquireShare, []string{t, ttl, "label", "1", "0", "1000", "1", kind, n, want}}
	case c.verb == renewing && plain && c.wish.kind == exclusive:
		return request{scripts.Renew, []string{t, ttl, column(c.known)}}
	case c.verb == renewing:
		return request{scripts.RenewShare, []string{t, ttl, column(c.known), "1", kind, n, strconv.Itoa(c.wish.want)}}
	case plain && c.marks:
		return request{scripts.Cancel, []string{t, "1", "1"}}
	case plain:
		return request{scripts.Release, []string{t, "0", "1"}}
	}
	return request{scripts.ReleaseShare, []string{t, bit(c.marks), "1"}}
}

// wanted3 is a wish as the scripts take it.
func wanted3(w wish) (kind, n, want string) {
	kind = scripts.KindLetters[w.kind : w.kind+1]
	if w.kind != slots {
		return kind, "0", "0"
	}
	return kind, strconv.Itoa(w.n), strconv.Itoa(w.want)
}

func wire(t token) string {
	if t == (token{}) {
		return strings.Repeat(" ", 32)
	}
	return fmt.Sprintf("%020d%012d", t.session, t.attempt)
}

// wire is the name's, as the companion has it.
func (n name) wire() string {
	if n.marker {
		return fmt.Sprintf("%s%012d", nobody, n.of)
	}
	return wire(n.token)
}

// column is a base, which is not negative.
func column(ms int64) string {
	if ms == 0 {
		return strings.Repeat("0", 16)
	}
	return fmt.Sprintf("%016d", (ms+offset)*1000)
}

func signed(ms int64) string {
	if ms < 0 {
		return "-" + column(-ms)
	}
	return "+" + column(ms)
}

// milli is what column was made of. One more than the last is 1 µs to the scripts, and 1 ms to the model.
func milli(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	if n == 0 {
		return 0
	}
	return (n+999)/1000 - offset
}

// replied says what is wrong with a script's reply.
func (r request) replied(got keyspace.Reply, want reply, s *store) string {
	if r.script == scripts.Fast {
		is := map[int]outcome{28: granted, 13: inFull}[len(got.Str)]
		if strings.HasSuffix(got.Str, "1") && is == inFull {
			is = freed
		}
		if is != want.outcome {
			return "replied " + got.Str
		}
		return ""
	}
	if len(got.Array) < 2 || got.Array[0].Int != int64(want.attempt) {
		return fmt.Sprintf("replied %+v to attempt %d", got, want.attempt)
	}
	said := got.Array[1:]
	code := map[outcome]int64{granted: 1, renewed: 1, freed: 1, held: 0, notHeld: 0, settledBefore: -1, isRevoked: 2}[want.outcome]
	if said[0].Int != code {
		return fmt.Sprintf("replied %+v", said)
	}
	if want.outcome == granted || want.outcome == renewed {
		return r.grants(said, want, s)
	}
	return ""
}

func (r request) grants(said []keyspace.Reply, want reply, s *store) string {
	if milli(said[1].Str) != want.base || !near(said[2].Int, want.ttl) || (said[3].Int == 1) != want.contended {
		return fmt.Sprintf("replied %+v", said)
	}
	if r.of(scripts.Acquire, scripts.AcquireShare) {
		c := s.companion
		if quiet := c.quiet && c.first >= 0 && c.last <= s.now; (said[4].Int == 1) != quiet {
			return fmt.Sprintf("replied %+v, quiet is %v", said, quiet)
		}
		said = said[1:]
	}
	if r.of(scripts.AcquireShare, scripts.RenewShare) {
		kind, _, _ := wanted3(wish{kind: want.kind})
		if said[4].Str != kind || said[5].Int != int64(max(1, want.permits)) {
			return fmt.Sprintf("replied %+v", said)
		}
	}
	return ""
}

func near(a, b int64) bool { return max(a-b, b-a) <= slack }
