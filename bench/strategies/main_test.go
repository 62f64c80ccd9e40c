package strategies

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// patienceOfTests is how long anybody waits for what has to come.
const patienceOfTests = 10 * time.Second

// The servers of all tests that do them no harm.
var sharedRedis, sharedMemcached *servers.Server

func TestMain(m *testing.M) {
	if bench.RunWorker(find) {
		return
	}
	testmain.Prepare(8)
	goredis.SetLogger(silent{}) // a cut connection is reported by those who notice
	var err error
	if sharedRedis, err = servers.StartRedis(); err == nil {
		sharedMemcached, err = servers.StartMemcached()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		sharedRedis.Close()
		sharedMemcached.Close()
		os.Exit(code)
	}))
}

// find is where a worker process of the driver finds its strategy.
func find(name string) (bench.Strategy, error) {
	list := All()
	for _, dir := range []string{"testdata/setnx", "testdata/queue", "testdata/broken"} {
		more, err := Script(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return bench.Among(list)(name)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// placeFor is where a strategy's locks live in one test.
func placeFor(t testing.TB, s bench.Strategy) bench.Place {
	t.Helper()
	at := bench.Place{Run: t.Name()}
	switch place := s.Describe().Place; place {
	case bench.PlaceProcess, bench.PlaceEmbedded:
	case bench.PlaceFile:
		at.Dir = t.TempDir()
	case bench.PlaceRedis:
		at.Addr = sharedRedis.Addr
	case bench.PlaceMemcached:
		at.Addr = sharedMemcached.Addr
	default:
		t.Fatalf("place %q: the harness starts no such thing", place)
	}
	return at
}

// open opens a strategy so often, as so many processes do; within a process, once.
func open(t testing.TB, s bench.Strategy, at bench.Place, n int) []bench.Locker {
	t.Helper()
	if s.Describe().Place == bench.PlaceProcess {
		n = 1
	}
	lockers := make([]bench.Locker, n)
	for i := range lockers {
		l, err := s.Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		lockers[i] = l
	}
	return lockers
}

var keys atomic.Int64

// newKey is a key of the test's own.
func newKey(t testing.TB) string {
	return fmt.Sprintf("%s:%d", strings.ReplaceAll(t.Name(), "/", ":"), keys.Add(1))
}

// within is a context that ends after d. It does not end with the test, whose end
// has to find everything given back.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func lock(t testing.TB, l bench.Locker, key string) bench.Held {
	t.Helper()
	h, err := l.Lock(within(t, patienceOfTests), key)
	if err != nil {
		t.Fatalf("lock: %v", err)
	}
	return h
}

func unlock(t testing.TB, h bench.Held) {
	t.Helper()
	if err := h.Unlock(); err != nil {
		t.Errorf("unlock: %v", err)
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patienceOfTests)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patienceOfTests, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// counter reads a counter of a server: a field of memcached's stats, or of Redis's
// INFO all ("connected_clients:", "cmdstat_setnx:calls=").
func counter(t testing.TB, addr, ask, field string) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patienceOfTests)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patienceOfTests)); err != nil {
		t.Fatal(err)
	}
	// Both end the connection when told to quit: the answer is all that comes.
	if _, err := io.WriteString(conn, ask+"\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), field)
	n := 0
	if _, err := fmt.Sscanf(rest, "%d", &n); found && err != nil {
		t.Fatalf("%s: %q", field, rest)
	}
	return n
}
