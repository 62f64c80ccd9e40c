package redis_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A counter is an asker that counts its answers.
type counter struct {
	answers
	told atomic.Int64
}

func (c *counter) Answered(reply backends.Reply, err error) {
	if c.told.Add(1) == 1 {
		c.answers.Answered(reply, err)
	}
}

// A mess is a server, and the ways to it, with all faults at once.
type mess struct {
	*testing.T
	b       *redis.Backend
	inside  *goredis.Client
	session backends.Session
	calls   sync.Map // counters
	seen    [4]atomic.Int64
	refused atomic.Int64
}

// Kinds of keys, by how they begin.
const (
	fine      = "a:"
	held      = "a-held:" // by another library
	forbidden = "f:"
)

func (m *mess) call(r backends.Request, verb backends.Verb) (backends.Reply, error) {
	within := patience
	if rand.N(4) == 0 {
		within = rand.N(20 * time.Millisecond)
	}
	to, begun := &counter{answers: make(answers, 1)}, time.Now()
	m.calls.Store(to, verb)
	if run := m.b.Start(backends.Call{Verb: verb, Request: r, Deadline: time.Now().Add(within)}, to); run != nil {
		run()
	}
	it := <-to.answers
	if time.Since(begun) >= patience {
		m.Errorf("%v of %s was lost, and ended by its deadline: %v", verb, r.Key, it.err)
	}
	return it.Reply, it.err
}

// has reports whether the server has a lease.
func (m *mess) has(r backends.Request) bool {
	return m.inside.Get(m.Context(), r.Key).Val() == r.Token.Wire()
}

// hold takes a key and lets it go, and holds each outcome against the server.
func (m *mess) hold(kind string, n uint64) {
	r := backends.Request{Attempt: backends.Attempt{Key: kind + strconv.FormatUint(n, 10), Token: m.session.Token(n)}, TTL: time.Minute, Label: "tester"}
	for kind == held && m.inside.Set(m.Context(), r.Key, "another's", time.Minute).Err() != nil { // out of memory
	}
	reply, err := m.call(r, backends.Acquiring)
	m.seen[reply.Outcome].Add(1)
	has, refused := m.has(r), backends.IsRefused(err)
	if refused {
		m.refused.Add(1)
	}
	switch o := reply.Outcome; {
	case o == backends.Granted && (!has || err != nil || kind != fine),
		o == backends.Held && (has || err != nil || kind != held),
		o == backends.NotRun && has,
		refused && kind != forbidden:
		m.Errorf("%s: %v, the server has it: %v, %v", r.Key, o, has, err)
	}
	if kind == forbidden {
		return
	}
	verb := backends.Cancelling
	if reply.Outcome == backends.Granted {
		verb = backends.Releasing
	}
	for r.Ambiguous = reply.Outcome == backends.MayHaveRun; ; {
		reply, err := m.call(r, verb)
		has := m.has(r)
		if ends := err == nil || backends.IsNotHeld(err); ends {
			if has || err != nil && !r.Ambiguous {
				m.Errorf("%s: %v: %v, the server has it: %v", r.Key, verb, err, has)
			}
			return
		}
		if verb == backends.Releasing && reply.Outcome == backends.NotRun && !r.Ambiguous && !has {
			m.Errorf("%s: %v did not run, and it is gone: %v", r.Key, verb, err)
		}
		r.Ambiguous = r.Ambiguous || reply.Outcome == backends.MayHaveRun
	}
}

// TestEachOfABatchHasOneTrueOutcome: others of it are forbidden, held or in doubt, the server
// forgets its scripts and runs out of memory, connections end anywhere, deadlines pass.
func TestEachOfABatchHasOneTrueOutcome(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	m := &mess{T: t, inside: server.RedisClient(t, nil), session: backends.NewSession()}
	if err := m.inside.Do(bounded(t), "ACL", "SETUSER", "some", "on", ">p", "+@all", "&*", "~a*", "~{a*").Err(); err != nil {
		t.Fatal(err)
	}
	f := &redis.Faults{Addr: server.Addr}
	m.b = redis.New(goredis.NewClient(&goredis.Options{Username: "some", Password: "p", ContextTimeoutEnabled: true, Dialer: f.Dial}), redis.Options{Owned: true})
	t.Cleanup(func() { _ = m.b.Close() })
	var number atomic.Uint64
	var callers, faults sync.WaitGroup
	done := make(chan struct{})
	faults.Go(func() { m.fail(f, done) })
	for range 64 {
		callers.Go(func() {
			for n := number.Add(1); n <= 5000 && !t.Failed(); n = number.Add(1) {
				kinds := []string{fine, fine, fine, fine, fine, fine, fine, held}
				if n%50 == 0 {
					kinds = []string{forbidden}
				}
				m.hold(kinds[rand.N(len(kinds))], n)
			}
		})
	}
	callers.Wait()
	close(done)
	faults.Wait()
	_ = m.b.Close() // calls on their way end
	m.calls.Range(func(to, verb any) bool {
		if n := to.(*counter).told.Load(); n != 1 {
			t.Errorf("%v was answered %d times", verb, n)
		}
		return true
	})
	for _, o := range []backends.Outcome{backends.Granted, backends.Held, backends.NotRun, backends.MayHaveRun} {
		if m.seen[o].Load() < 20 {
			t.Errorf("%v was met %d times only: the test proves little", o, m.seen[o].Load())
		}
	}
	if m.refused.Load() < 20 {
		t.Errorf("%d were refused: the test proves little", m.refused.Load())
	}
}

// fail brings the faults about, and takes them back, until all is done.
func (m *mess) fail(f *redis.Faults, done <-chan struct{}) {
	cut := new(redis.Cut(func(p []byte) (int, bool) { return rand.N(len(p)), rand.N(100) == 0 }))
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		var err error
		switch rand.N(6) {
		case 0:
			err = m.inside.ScriptFlush(m.Context()).Err()
		case 1:
			err = m.inside.ConfigSet(m.Context(), "maxmemory", "1").Err()
		case 2:
			err = m.inside.ConfigSet(m.Context(), "maxmemory", "0").Err()
		case 3:
			f.Read.Store(cut)
			f.Write.Store(cut)
		case 4:
			f.Read.Store(nil)
			f.Write.Store(nil)
		case 5:
			m.b.Together()
		}
		if err != nil {
			m.Error(err)
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}
