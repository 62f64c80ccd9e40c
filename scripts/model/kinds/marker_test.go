package kinds

import (
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

const (
	stamped = "4102444800.1"
	nobody  = "00000000000000000000" // the session that there is not
	readers = nobody + "000000000001"
	someone = "12345678901234567890" + "000000000007"
	now     = int64(1_700_000_000_000_000) // µs
)

// A scene is a keyspace of its own, in which the scripts of exclusive locks run as they are.
type scene struct {
	t    *testing.T
	keys *keyspace.Keyspace
	now  int64
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, now: now}
	s.keys = keyspace.New(func() int64 { return s.now }, nil)
	s.do("SET", "k", stamped+readers, "PX", "20000")
	s.do("SET", scripts.Keys("k")[1], "21"+"1699999999000000"+"+1699999999000000"+readers, "PX", "80000")
	return s
}

func (s *scene) do(args ...string) keyspace.Reply { return s.keys.Do(args...) }

// acquires acquires the lock, by the verb of shares where the mutex's own sends it there.
func (s *scene) acquires() []keyspace.Reply {
	s.t.Helper()
	r := s.runs(scripts.Acquire)
	if r[0].Int == -2 {
		return s.runs(scripts.AcquireShare)
	}
	return r
}

// runs runs a full verb. The reply is without the attempt's number, which stands first.
func (s *scene) runs(script *scripts.Script) []keyspace.Reply {
	s.t.Helper()
	_, list, _ := strings.Cut(script.Source(), "-- ARGV: ")
	list, _, _ = strings.Cut(list, "\n")
	var argv []string
	for _, name := range strings.Split(list, ", ") {
		argv = append(argv, arguments()[name])
	}
	return s.execute(script, script.Keys("k"), argv...).Array[1:]
}

func (s *scene) execute(script *scripts.Script, keys []string, argv ...string) keyspace.Reply {
	s.t.Helper()
	p, err := engine.Compile(script.Name, script.Hoisted())
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := engine.New(s.keys).Run(p, keys, argv)
	if err != nil {
		s.t.Fatalf("%s: %v", script.Name, err)
	}
	return r
}

func (s *scene) want(r []keyspace.Reply, first int64, lock string) {
	s.t.Helper()
	if r[0].Int != first {
		s.t.Errorf("replied %+v, want %d first", r, first)
	}
	if got := s.do("GET", "k").Str; got != lock {
		s.t.Errorf("%q is under the key, want %q", got, lock)
	}
}

// arguments are those of each verb, by the names in its header.
func arguments() map[string]string {
	return map[string]string{
		"token": stamped + someone, "ttl": "10000", "label": "l", "wait": "1", "push": "1", "ask": "1", "alive": "1000",
		"mark": "1", "known": "0", "kind": "x", "n": "0", "want": "0",
	}
}

var beside = map[string]func(s *scene){
	"acquire waits for it": func(s *scene) {
		r := s.acquires()
		s.want(r, 0, stamped+readers)
		if r[3].Int != 20000 || r[5].Int != 0 {
			s.t.Errorf("replied %+v, want a lock of ours that ends in 20 s", r)
		}
	},
	"renew leaves it":   func(s *scene) { s.want(s.runs(scripts.Renew), 0, stamped+readers) },
	"release leaves it": func(s *scene) { s.want(s.runs(scripts.Release), 0, stamped+readers) },
	"cancel leaves it":  func(s *scene) { s.want(s.runs(scripts.Cancel), 0, stamped+readers) },
	"acquire puts it back": func(s *scene) {
		s.do("HSET", scripts.Keys("k")[2], "over", "1699999999000000"+readers, "until", "1700000059000000")
		s.do("PEXPIRE", scripts.Keys("k")[2], "59000")
		s.do("SET", "k", "1700000006.25") // a losing GETSET
		s.want(s.acquires(), 0, stamped+readers)
	},
	"acquire does not take over what stands over it": func(s *scene) {
		s.do("SET", "k", "1699999999.25")
		s.want(s.acquires(), 0, "1699999999.25")
		s.now += 25_000_000
		s.want(s.acquires(), 1, stamped+someone)
	},
	"acquire takes the key when it is over": func(s *scene) {
		s.now += 20_100_000
		s.want(s.acquires(), 1, stamped+someone)
	},
	"a companion that was evicted names it": func(s *scene) {
		s.do("DEL", scripts.Keys("k")[1])
		s.want(s.acquires(), 0, stamped+readers)
		if c := s.do("GET", scripts.Keys("k")[1]).Str; len(c) < 67 || c[35:67] != readers {
			s.t.Errorf("the companion is %q", c)
		}
	},
	"the fast path leaves it": func(s *scene) {
		r := s.execute(scripts.Fast, scripts.Keys("k")[:2], "0", stamped+someone, "10000", "l")
		if !strings.HasSuffix(r.Str, "0") || s.do("GET", "k").Str != stamped+readers {
			s.t.Errorf("replied %+v", r)
		}
	},
}

// TestToTheScriptsTheMarkerIsALock runs the scripts of exclusive locks, which know nothing of shares but that they are
// out, on a key with a marker: they leave it alone, wait for it, and put it back.
func TestToTheScriptsTheMarkerIsALock(t *testing.T) {
	t.Parallel()
	for name, run := range beside {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(newScene(t))
		})
	}
}
