package redis_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// without are a server's arguments that take commands away.
func without(commands ...string) (args []string) {
	for _, c := range commands {
		args = append(args, "--rename-command", c, "")
	}
	return args
}

// A logbook keeps the log.
type logbook struct {
	mu   sync.Mutex // protects text
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// loggedSession opens a session that keeps its log.
func loggedSession(t testing.TB, rawURL string) (*session, *logbook) {
	t.Helper()
	log := new(logbook)
	b, err := redis.Open(t.Context(), parse(t, rawURL), redis.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return subscribe(t, b), log
}

// count is a number in an answer to INFO, 0 if it is not there.
func count(t testing.TB, server *goredis.Client, section, line, field string) (n int) {
	t.Helper()
	said := server.InfoMap(bounded(t), section).Item(strings.ToUpper(section[:1])+section[1:], line)
	for part := range strings.SplitSeq(said, ",") {
		if value, ok := strings.CutPrefix(part, field+"="); ok {
			n, _ = strconv.Atoi(value)
		}
	}
	return n
}

// TestACommandThatIsRenamedAwayIsWarnedOf: once, however often it is missed. (Without
// a word all waiters would poll, and nobody would know why.)
func TestACommandThatIsRenamedAwayIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		lacks   []string
		cluster bool
	}{
		{[]string{"SUBSCRIBE"}, false},
		{[]string{"PUBLISH"}, false},
		{[]string{"SSUBSCRIBE", "SUBSCRIBE"}, true},
		{[]string{"SPUBLISH", "PUBLISH"}, true},
	} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			t.Parallel()
			var nodes []*servers.Server
			var url string
			if row.cluster {
				c := servertest.RedisClusterOf(t, servers.ClusterConfig{Masters: 2, Args: without(row.lacks...)})
				nodes, url = c.Nodes, c.URL()
			} else {
				nodes = []*servers.Server{servertest.Redis(t, without(row.lacks...)...)}
				url = nodes[0].URL()
			}
			var inside []*goredis.Client
			for _, node := range nodes {
				inside = append(inside, node.RedisClient(t, nil))
			}
			missed := func() (n int) {
				for _, node := range inside {
					n += count(t, node, "errorstats", "errorstat_ERR", "count")
				}
				return n
			}
			s, log := loggedSession(t, url)
			mustGrant(t, s, s.request(newKey(t))) // there is something to hear of
			const words = "refuses a session its inbox"
			eventually(t, "a warning", func() bool { return strings.Contains(log.String(), words) })
			before := missed()
			eventually(t, "it is missed again", func() bool { return missed() >= before+2 })
			if err := s.Close(); err != nil { // has waited for the log
				t.Fatal(err)
			}
			said := log.String()
			if n := strings.Count(said, words); n != 1 || !strings.Contains(said, "level=WARN") || !strings.Contains(said, "rename-command") {
				t.Errorf("%d warnings, want one that says what to do: %s", n, said)
			}
		})
	}
}

// TestAClusterWithoutShardedChannelsIsHeardByPlainOnes: with one half of them missing
// as well as with both.
func TestAClusterWithoutShardedChannelsIsHeardByPlainOnes(t *testing.T) {
	t.Parallel()
	for _, lacks := range [][]string{{"SSUBSCRIBE"}, {"SPUBLISH"}, {"SSUBSCRIBE", "SPUBLISH"}} {
		t.Run(fmt.Sprint(lacks), func(t *testing.T) {
			t.Parallel()
			c := servertest.RedisClusterOf(t, servers.ClusterConfig{Masters: 2, Args: without(lacks...)})
			a, log := loggedSession(t, c.URL())
			b, _ := loggedSession(t, c.URL())
			a.hears(t, true)
			b.hears(t, true)
			key := newKey(t)
			held := a.request(key)
			mustGrant(t, a, held)
			b.waits(t, key)
			a.woken(t, backends.Wake{Key: key, Kind: backends.Wanted})
			a.release(t, held)
			b.woken(t, backends.Wake{Key: key, Kind: backends.Given})
			if said := log.String(); strings.Contains(said, "refuses") {
				t.Errorf("warned of what does no harm: %s", said)
			}
		})
	}
}

// TestWhoIsRefusedAnInboxAsksSeldom counts the calls that the server sees, beside the
// time that those who wait were told to wait for.
func TestWhoIsRefusedAnInboxAsksSeldom(t *testing.T) {
	t.Parallel()
	const waiters, polls = 5, 40
	server := servertest.Redis(t, without("SUBSCRIBE")...)
	inside := server.RedisClient(t, nil)
	a := newSession(t, server.URL())
	key := newKey(t)
	held := a.request(key)
	held.TTL = lease
	reply := mustGrant(t, a, held)
	// The lock is held for a minute already.
	if err := inside.SetRange(bounded(t), "{"+key+"}:turnstile", 19, fmt.Sprintf("%016d", reply.Base-60_000_000)).Err(); err != nil {
		t.Fatal(err)
	}
	calls := func() int {
		return count(t, inside, "commandstats", "cmdstat_evalsha", "calls") + count(t, inside, "commandstats", "cmdstat_eval", "calls")
	}
	var head *session
	var first backends.Request
	for place := 1; place <= waiters; place++ {
		s, log := loggedSession(t, server.URL())
		eventually(t, "it is refused", func() bool { return strings.Contains(log.String(), "refuses") })
		r := s.request(key)
		var waited time.Duration
		before := calls()
		for r.Probe = 0; r.Probe < polls; r.Probe++ {
			reply, err := s.Acquire(bounded(t), r)
			if err != nil || reply.Outcome != backends.Held || reply.Place != place {
				t.Fatalf("%+v, %v; want held, and place %d", reply, err, place)
			}
			waited += reply.Retry
			if place == 1 {
				head, first = s, r
			}
			if head != nil && place > 1 {
				if _, err := head.Acquire(bounded(t), first); err != nil { // it is still there, and not counted
					t.Fatal(err)
				}
				before++
			}
		}
		if n := calls() - before; float64(n) > 10*waited.Seconds() {
			t.Errorf("place %d: %d calls in %v of waiting", place, n, waited)
		}
	}
	// It has waited for long enough to be served, however quick the machine is.
	member := strings.TrimPrefix(first.Token.Wire(), backends.Stamp)
	if err := inside.ZIncrBy(bounded(t), "{"+key+"}:turnstile:queue", -200_000, member).Err(); err != nil {
		t.Fatal(err)
	}
	a.release(t, held)
	if ttl := inside.PTTL(bounded(t), key).Val(); ttl <= 250*time.Millisecond || ttl > 750*time.Millisecond {
		t.Errorf("the lock is kept for %v, for one that asks every 250 ms", ttl)
	}
	mustGrant(t, head, first)
}
