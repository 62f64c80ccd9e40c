package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	peerProcesses = 2 // where they are processes
	peerWorkers   = 4 // threads or goroutines, in all
	ourClients    = 2
	ourWorkers    = 4 // goroutines, in all

	ours, theirs = "o", "t"
	countFormat  = "%06d"
	// starved is how long a worker waits for a hold before the contest is over.
	starved = 30 * time.Second
)

// A contest is many holds of one key by both sides. What a hold does is add one
// to a number in a file, in three steps that nothing but the lock protects, and
// note whose it was.
type contest struct {
	dir   string
	holds int // each side's
}

func newContest(t *testing.T, holds int) contest {
	t.Helper()
	c := contest{t.TempDir(), holds}
	if err := errors.Join(os.WriteFile(c.file("counter"), fmt.Appendf(nil, countFormat, 0), 0o600), os.WriteFile(c.file("turns"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c contest) file(name string) string { return filepath.Join(c.dir, name) }

// run makes one side's holds, each worker its share. rest is how long a worker
// does without the lock after each, on average.
func (c contest) run(side string, rest time.Duration, workers []holder) <-chan outcome[struct{}] {
	return beside(func() (none struct{}, err error) {
		failures := make([]error, len(workers))
		var wg sync.WaitGroup
		for i, w := range workers {
			wg.Go(func() { failures[i] = c.work(side, rest, w, c.holds/len(workers)) }) // ends with its holds, or starved
		}
		wg.Wait()
		return none, errors.Join(failures...)
	})
}

func (c contest) work(side string, rest time.Duration, w holder, holds int) error {
	for range holds {
		if won, err := w.acquire(starved); err != nil {
			return fmt.Errorf("acquire: %w", err)
		} else if !won {
			return errors.New("starved")
		}
		if err := errors.Join(c.visit(side), w.release()); err != nil {
			return err
		}
		time.Sleep(rand.N(2*rest + 1))
	}
	return nil
}

// visit is a hold's section. The number is written over the old one: a file that
// is made anew each time costs a millisecond on some file systems.
func (c contest) visit(side string) (err error) {
	f, err := os.OpenFile(c.file("counter"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	turns, err := os.OpenFile(c.file("turns"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	// Appending loses nothing even where two are in at once: it is what the counter
	// is compared with.
	if _, err := turns.WriteString(side); err != nil {
		return errors.Join(err, turns.Close())
	}
	if err := turns.Close(); err != nil {
		return err
	}
	_, err = f.WriteAt(fmt.Appendf(nil, countFormat, n+1), 0)
	return err
}

// result is the number that the holds counted up to, and the order of the turns.
func (c contest) result(t *testing.T) (count int, turns string) {
	t.Helper()
	text, err := os.ReadFile(c.file("counter"))
	if err == nil {
		count, err = strconv.Atoi(string(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	order, err := os.ReadFile(c.file("turns"))
	if err != nil {
		t.Fatal(err)
	}
	return count, string(order)
}

// A client of ours, as one who takes part.
type client struct {
	*lockclient.Client
	lock *lockclient.Lock
}

func (c *client) acquire(wait time.Duration) (bool, error) {
	var err error
	c.lock, err = c.Acquire(context.Background(), key, lockclient.Timeout(wait))
	if errors.Is(err, lockclient.ErrTimeout) {
		return false, nil
	}
	return err == nil, err
}

func (c *client) release() error { return c.lock.Release() }

// alternations counts how often the key went from one side to the other.
func alternations(turns string) int {
	return strings.Count(turns, ours+theirs) + strings.Count(turns, theirs+ours)
}

// How long a worker does without the lock after each hold, on average. Ours do
// longer: they hand it to each other for as long as one of them waits, and what
// polls gets in when none does, or in a gap.
const (
	ourRest   = 5 * time.Millisecond
	theirRest = 3 * time.Millisecond
	// leastTurns is how often the key has to change sides. Ours looks again only
	// foreignPoll after it found one of theirs, so that is 20 times a second at most.
	leastTurns = 20
)

// Each side counts the other's holds as well as its own, or a number is lost.
func TestContendedHoldsLoseNothing(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		const holds = 1000
		addr, inside := redisServer(t)
		c := newContest(t, holds)
		var workers []holder
		for range ourClients {
			shared := open(t, addr, lockclient.Config{PollerGap: 2 * time.Millisecond})
			for range ourWorkers / ourClients {
				workers = append(workers, &client{Client: shared})
			}
		}
		began := time.Now()
		// Their pause is far from what they would do by themselves: redsync waits for
		// 50 to 250 ms between tries, redis-py for 100 ms, pylock for a second.
		their := l.compete(t, settings{addr, 10 * time.Second, time.Millisecond}, c)
		our := c.run(ours, ourRest, workers)
		a := soon(t, "ours", our, time.Minute)
		b := soon(t, "theirs", their, time.Minute)
		count, turns := c.result(t)
		t.Logf("ours took %v, theirs %v; the key changed sides %d times", a.at.Sub(began), b.at.Sub(began), alternations(turns))
		if count != 2*holds {
			t.Errorf("%d holds counted up to %d", 2*holds, count)
		}
		if o, n := strings.Count(turns, ours), strings.Count(turns, theirs); o != holds || n != holds {
			t.Errorf("%d of ours, %d of theirs, want %d each", o, n, holds)
		}
		if n := alternations(turns); n < leastTurns {
			t.Errorf("the key changed sides %d times, want %d", n, leastTurns)
		}
		wantFree(t, inside)
	})
}

type careless struct{}

func (careless) acquire(time.Duration) (bool, error) { return true, nil }
func (careless) release() error                      { return nil }

// What the contest proves rests on this.
func TestTheCounterShowsALockThatDoesNotExclude(t *testing.T) {
	const holds = 500
	// The scheduler decides whether two meet; but some must meet in the end.
	for tries := 1; ; tries++ {
		c := newContest(t, holds)
		our, their := c.run(ours, 0, []holder{careless{}, careless{}}), c.run(theirs, 0, []holder{careless{}, careless{}})
		soon(t, "ours", our, time.Minute)
		soon(t, "theirs", their, time.Minute)
		count, turns := c.result(t)
		switch {
		case len(turns) != 2*holds:
			t.Fatalf("%d turns, want %d", len(turns), 2*holds)
		case count < 2*holds:
			return
		case tries == 100:
			t.Fatalf("%d times %d holds without a lock were all counted", tries, count)
		}
	}
}
