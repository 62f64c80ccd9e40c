package model

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
// model's state before it, they have to come to the model's state after it, and to its reply. By hand:
//
//	go test ./scripts/model -run TestTheScripts -rapid.checks=100000
func TestTheScriptsDoWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(everyRule, 3, 3)
		p.beside = &lua{rt: rt}
		for n := rapid.IntRange(1, 80).Draw(rt, "events"); n > 0; n-- {
			e := rapid.SampledFrom(p.events(rt, true, true)).Draw(rt, "event")
			rt.Log(e.name)
			e.do()
		}
	})
}

// The scripts count in µs, and read times before 2001 as no times at all.
const (
	offset  = int64(1_700_000_000_000) // ms
	slack   = int64(3)                 // ms: the scripts round up, and a key lives through its last ms
	aLock   = "k"
	stamped = "4102444800.1"
)

var luaKeys = scripts.Keys(aLock)

// lua runs the scripts beside the model.
type lua struct {
	rt   *rapid.T
	keys *keyspace.Keyspace
	now  int64 // ms
}

var (
	programs = sync.OnceValue(func() map[*scripts.Script]*engine.Program {
		all := map[*scripts.Script]*engine.Program{}
		for _, s := range append(scripts.Mutex(), scripts.Fast) {
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

// runs lets both run a request, and compares them.
func (l *lua) runs(s *store, script *scripts.Script, args []string, model func() reply) reply {
	s.expire()
	if s.memoryFull {
		return model() // the embedded engine's memory is never full
	}
	l.enter(s)
	before := fmt.Sprintf("%+v %+v %+v %+v until %d now %d", s.lock, s.companion, s.settled, s.queue, s.until, s.now)
	names := luaKeys
	if script == scripts.Fast {
		names = luaKeys[:2]
	}
	vm, _ := vms.Get().(*engine.VM)
	if vm == nil {
		vm = engine.New(l.keys)
	} else {
		vm.Rebind(l.keys)
	}
	got, err := vm.Run(programs()[script], names, args)
	vms.Put(vm)
	s.told = nil // a fast script leaves it
	want := model()
	if said := l.reply(script, got, err, want, s); said != "" {
		l.rt.Fatalf("%s %q: %s\nbefore %s\nmodel  %+v", script.Name, args, said, before, want)
	}
	if want.outcome != settledBefore { // of which nothing was done; the model seals nothing, either
		if differs := l.compare(s); differs != "" {
			l.rt.Fatalf("%s %q: %s\nbefore %s\nafter  %+v %+v\nreply  %+v", script.Name, args, differs, before, s.lock, s.companion, want)
		}
	}
	return want
}

func (l *lua) do(args ...string) keyspace.Reply { return l.keys.Do(args...) }

func wire(t token) string {
	if t == (token{}) {
		return strings.Repeat(" ", 32)
	}
	return fmt.Sprintf("%020d%012d", t.session, t.attempt)
}

func readToken(member string) (t token) {
	if strings.TrimSpace(member) != "" {
		t.session, _ = strconv.Atoi(member[:20])
		t.attempt, _ = strconv.Atoi(member[20:32])
	}
	return t
}

func column(ms int64) string {
	sign := "+"
	if ms < 0 {
		sign, ms = "-", -ms
	}
	if ms == 0 {
		return sign + strings.Repeat("0", 16)
	}
	return fmt.Sprintf("%s%016d", sign, (ms+offset)*1000)
}

// enter makes a keyspace of the model's state.
func (l *lua) enter(s *store) {
	l.now = s.now
	l.keys = keyspace.New(func() int64 { return (s.now + offset) * 1000 }, func(string) int { return 1 })
	px := func(end int64) string { return strconv.FormatInt(end-s.now, 10) }
	switch v := s.lock; v.kind {
	case ours:
		l.do("SET", luaKeys[0], stamped+wire(v.token))
	case stamp:
		l.do("SET", luaKeys[0], fmt.Sprintf("%d.%03d", (v.time+offset)/1000, (v.time+offset)%1000))
	case other:
		l.do("SET", luaKeys[0], "5c3f6e0a-3f3c-4d9b")
	case hash:
		l.do("HSET", luaKeys[0], "f", "v")
	}
	if s.lock.end != 0 {
		l.do("PEXPIRE", luaKeys[0], px(s.lock.end))
	}
	if c := s.companion; c != nil {
		state := "1"
		if c.quiet {
			state = "0"
		}
		l.do("SET", luaKeys[1], "2"+state+column(c.last)[1:]+column(c.first)+wire(c.lease)+"label", "PX", px(c.end))
	} else if s.foreign {
		l.do("HSET", luaKeys[1], "f", "v")
	}
	until := int64(0)
	for session, m := range s.settled {
		l.do("HSET", luaKeys[2], fmt.Sprintf("settled:%020d", session), fmt.Sprintf("%012d%010d", m.attempt, (s.now+offset)/1000))
		until = max(until, s.until)
	}
	if o := s.over; o != nil {
		l.do("HSET", luaKeys[2], "over", column(o.when)[1:]+wire(o.lease))
		until = max(until, o.when+keep)
	}
	if r := s.revoked; r != nil {
		l.do("HSET", luaKeys[2], "revoked", wire(r.lease)+column(r.first))
	}
	if until != 0 {
		l.do("HSET", luaKeys[2], "until", strconv.FormatInt((until+offset)*1000+1, 10))
	}
	for i, w := range s.queue {
		l.do("ZADD", luaKeys[3], strconv.FormatInt((w.score+offset)*1000+int64(i), 10), wire(w.token))
		l.do("HSET", luaKeys[4], wire(w.token), asked(w))
	}
	l.do("PEXPIRE", luaKeys[2], px(max(s.moreEnd, s.queueEnd)))
	l.do("PEXPIRE", luaKeys[3], px(s.queueEnd))
	l.do("PEXPIRE", luaKeys[4], px(s.queueEnd))
}

// asked is what the script keeps of a waiting attempt's newest ask.
func asked(w waiter) string {
	return fmt.Sprintf("%013d1%08d%016dx0000000label", w.alive+offset, w.lives, w.ask)
}

// reply says what is wrong with a script's reply.
func (l *lua) reply(script *scripts.Script, got keyspace.Reply, err error, want reply, s *store) string {
	if err == nil && script != scripts.Fast && script != scripts.Revoke {
		if len(got.Array) == 0 || got.Array[0].Int != int64(want.attempt) {
			return fmt.Sprintf("replied %+v to attempt %d", got, want.attempt)
		}
		got.Array = got.Array[1:]
	}
	if want.outcome == refused {
		settled := err == nil && got.Array[0].Int == -1 // the script need not look under the lock for that
		if !settled && (err == nil || !strings.Contains(err.Error(), "WRONGTYPE")) {
			return fmt.Sprintf("replied %+v, %v", got, err)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	if script == scripts.Fast {
		said := got.Str[12:]
		is := map[bool]outcome{true: granted, false: inFull}[len(said) == 16]
		if said == "1" {
			is = freed
		}
		if is != want.outcome || got.Str[:12] != fmt.Sprintf("%012d", want.attempt) {
			return "replied " + got.Str
		}
		return ""
	}
	code := map[*scripts.Script]map[int64]outcome{
		scripts.Acquire: {1: granted, 0: held, -1: settledBefore},
		scripts.Renew:   {1: renewed, 0: notHeld, 2: isRevoked},
		scripts.Release: {1: freed, 0: notHeld},
		scripts.Cancel:  {1: freed, 0: notHeld},
	}[script]
	if code == nil {
		return "" // of revoke the model says nothing
	}
	if is, known := code[got.Array[0].Int]; !known || is != want.outcome {
		return fmt.Sprintf("replied %+v", got)
	}
	if (want.outcome == granted || want.outcome == renewed) && !near(got.Array[2].Int, want.ttl) {
		return fmt.Sprintf("a ttl of %d, want %d", got.Array[2].Int, want.ttl)
	}
	quiet := s.companion == nil || s.companion.quiet && s.companion.first >= 0 && s.companion.last <= s.now
	if n := len(got.Array); script != scripts.Renew && want.outcome != held && want.outcome != settledBefore && (got.Array[n-1].Int == 1) != quiet {
		return fmt.Sprintf("replied %+v, quiet is %v", got, quiet)
	}
	return ""
}

func near(a, b int64) bool { return max(a-b, b-a) <= slack }
