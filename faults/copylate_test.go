//go:build unix

package faults

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/lockclient"
)

// storiesEach is how many attempts a round has at least, after which the server is looked at.
const storiesEach = 100

// A late copy of an acquire leaves nothing: no lease that nobody awaits, and no place in the
// queue. Each round has attempts whose acquires are held back, by the script fast or in full,
// once or twice; they end in each way there is; the key's actor retires, or goes on; then the
// copies arrive while somebody has the key, or when all have left.
func TestLateCopiesOfAcquiresLeaveNothing(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	worlds, each := 1, 3*storiesEach
	if *long {
		worlds, each = 4, 25*storiesEach
	}
	t.Run("worlds", func(t *testing.T) { // ends before anybody looks for leftovers
		for i := range worlds {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				lateCopies(t, server, inside, fmt.Sprint("copied.", i), each)
			})
		}
	})
}

func lateCopies(t *testing.T, server *servers.Server, inside *goredis.Client, prefix string, want int) {
	r := &rounds{copies: holdCopies(t), inside: inside, prefix: prefix, kinds: map[string]int{}}
	for i := range 5 {
		r.clients = append(r.clients, open(t, "redis://"+r.copies.wire.door(server.Addr)+"?read_timeout=100ms&lazy=true", fmt.Sprint("delayed ", i)))
	}
	r.other, r.third = open(t, server.URL(), "other"), open(t, server.URL(), "third")
	// A slow machine may take some rounds more until each kind was late.
	for (r.attempts < want || len(r.missing()) > 0) && r.attempts < 10*want && !t.Failed() {
		r.round(t)
	}
	for _, kind := range r.missing() {
		t.Errorf("no copy of this kind was late: %s", kind)
	}
	t.Logf("%d attempts, %d copies: %v", r.attempts, r.late, r.kinds)
}

type rounds struct {
	*copies
	inside       *goredis.Client
	prefix       string // of keys
	clients      []*lockclient.Client
	other, third *lockclient.Client

	n        int      // stories begun
	used     []*story // of the round before
	attempts int      // that had late copies
	late     int      // copies
	kinds    map[string]int
}

// missing returns the kinds of copies of which none was late.
func (r *rounds) missing() (kinds []string) {
	for _, kind := range r.expected() {
		if r.kinds[kind] == 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// expected are the kinds of late copies that any run has.
func (r *rounds) expected() (all []string) {
	for _, e := range []ending{released, cancelled, timedOut, triedOnce, givenUp} {
		for _, v := range []verb{fastTake, fullTake} {
			all = append(all, fmt.Sprint(v, ", ", e))
		}
	}
	for _, v := range []verb{fastTake, fullTake} {
		for _, where := range []string{"on a free key", "on a held key", "on a key with a queue", "its actor retired", "its actor went on"} {
			all = append(all, fmt.Sprint(v, ", ", where))
		}
	}
	return all
}

// story begins one with a key that is new, or was used in the round before: by the same
// client, which remembers that its requests were not answered, or by another, which doesn't know.
func (r *rounds) story() *story {
	n := r.n
	r.n++
	s := &story{
		key: fmt.Sprint(r.prefix, ".", n), client: r.clients[n%len(r.clients)], other: r.other, third: r.third,
		ending: []ending{released, cancelled, timedOut, triedOnce, givenUp}[n/5%5],
		busy:   n/25%3 == 1, stays: n/25%3 == 2, twice: n%7 == 3, caught: make(chan struct{}), noEnd: make(chan struct{}),
	}
	if s.ending == released && s.busy || s.ending == triedOnce {
		s.busy, s.twice = false, s.twice && s.ending != triedOnce
	}
	if i := n % storiesEach; n%3 > 0 && i < len(r.used) {
		s.key = r.used[(i+n%3-1)%len(r.used)].key
	}
	return s
}

func (r *rounds) round(t *testing.T) {
	var stories []*story
	keys := map[string]bool{}
	for range storiesEach {
		s := r.story()
		if keys[s.key] {
			s.key = fmt.Sprint(r.prefix, ".", r.n, ".new")
		}
		keys[s.key] = true
		stories = append(stories, s)
	}
	all := func(what string, do func(s *story) error) {
		t.Helper()
		var wg sync.WaitGroup
		for _, s := range stories {
			wg.Go(func() {
				if err := do(s); err != nil {
					t.Errorf("%s: %s, %s: %v", what, s.key, s.ending, err)
				}
			})
		}
		wg.Wait()
	}
	all("before the attempt", func(s *story) error { return s.begin(t.Context()) })
	for _, s := range stories {
		r.follow(s)
	}
	all("the attempt", func(s *story) error { return s.attempt(t.Context()) })
	r.awaitSettled(t, stories)
	all("what comes after it", func(s *story) error { return s.goOn(t.Context(), t) })
	r.awaitQueues(t, stories)
	r.awaitSettled(t, stories) // the server has answered what ends an attempt that was given up
	seen := map[string]bool{}
	some := 0
	r.deliver(t, func(k *copied) bool { some++; return some%2 == 0 && r.over(k) }, func(a ask, reply value) { r.judge(t, a, reply, seen, true) })
	all("the end", (*story).end)
	r.awaitSettled(t, nil)
	r.deliver(t, func(*copied) bool { return true }, func(a ask, reply value) { r.judge(t, a, reply, seen, false) })
	r.attempts += len(seen)
	r.look(t, stories)
	r.used = stories
}

// awaitSettled waits until each client has ended its attempts, or given them up. Actors
// go on with the keys that are held by stories of theirs.
func (r *rounds) awaitSettled(t *testing.T, stories []*story) {
	t.Helper()
	for _, c := range r.clients {
		var held int64
		for _, s := range stories {
			if s.nextOf == c {
				held++
			}
		}
		eventually(t, patience, "all attempts have ended", func() bool { return c.Stats().LiveKeys == held })
	}
}

func (r *rounds) awaitQueues(t *testing.T, stories []*story) {
	t.Helper()
	for _, s := range stories {
		if s.busy {
			eventually(t, patience, "somebody waits", func() bool {
				return r.inside.Exists(t.Context(), "{"+s.fullKey()+"}:turnstile:queue").Val() == 1
			})
		}
	}
}

func (r *rounds) over(k *copied) bool {
	return !slices.ContainsFunc(k.asks, func(a ask) bool { return a.takes() && !r.stories[a.key].over(a.token) })
}

// judge takes what the server said to a late copy.
func (r *rounds) judge(t *testing.T, a ask, reply value, seen map[string]bool, goesOn bool) {
	t.Helper()
	if !a.takes() {
		return
	}
	s := r.stories[a.key]
	if what := a.left(reply); what != "" && !(goesOn && s.mayWait() && a.queued(reply)) {
		t.Errorf("%s, %s, goes on %v: %s", s.ending, s.where(goesOn), goesOn, what)
	}
	seen[a.token] = true
	r.late++
	actor := "its actor retired"
	if s.stays {
		actor = "its actor went on"
	}
	for _, how := range []string{string(s.ending), s.where(goesOn), actor} {
		r.kinds[fmt.Sprint(a.verb, ", ", how)]++
	}
}

func (s *story) where(goesOn bool) string {
	switch {
	case !goesOn || !s.busy && s.next == nil:
		return "on a free key"
	case s.busy:
		return "on a key with a queue"
	}
	return "on a held key"
}

// look fails the test if there is anything that doesn't expire.
func (r *rounds) look(t *testing.T, stories []*story) {
	t.Helper()
	for _, s := range stories {
		k := "{" + s.fullKey() + "}:turnstile"
		if n, err := r.inside.Exists(t.Context(), s.fullKey(), k+":queue", k+":alive").Result(); n != 0 || err != nil {
			t.Errorf("%s, %s: %d keys of a lock or a queue are left (%v)", s.key, s.ending, n, err)
		}
	}
}
