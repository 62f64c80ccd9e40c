//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest/history"
	"github.com/turnstile-go/turnstile/lockclient"
)

// reached bounds the time that those take; only a defect, or a very slow machine, needs it all.
const reached = 10 * time.Minute

// mixedHolds is how many holds of all kinds a test makes in all.
func mixedHolds() int {
	if *long {
		return 200_000
	}
	return 3_000
}

// checkMixed checks the claims of one key, and that all kinds have had their turns.
func checkMixed(t *testing.T, lists [][]entry) {
	t.Helper()
	all := recorded(lists...)
	limits := history.Limits{Slack: jitter, Turn: tenure + heartbeat + jitter}
	if err := errors.Join(history.Overlaps(all, nil), history.Fences(all), history.Order(all, limits)); err != nil {
		t.Error(err)
	}
	kinds, total, longest := map[kindOf]int{}, 0, map[backends.Kind]time.Duration{}
	for _, list := range lists {
		total += len(list)
		for _, e := range list {
			kinds[e.kindOf]++
			longest[e.kind] = max(longest[e.kind], time.Duration(e.granted-e.asked))
		}
	}
	t.Logf("%d holds: %v; longest waits %v", total, kinds, longest)
	if len(kinds) < 6 {
		t.Errorf("of some kinds there was no hold: %v", kinds)
	}
	// A turn of each process costs a Tenure and a hold; a lost message a heartbeat. Nobody starves.
	for kind, wait := range longest {
		if most := time.Second + jitter; wait > most {
			t.Errorf("a caller of kind %v waited for %v", kind, wait)
		}
	}
}

// competeInKinds lets processes take a key in all kinds until they have had so many holds.
func competeInKinds(t *testing.T, url string) [][]entry {
	t.Helper()
	var workers []*worker
	for range 4 {
		workers = append(workers, start(t, spec{URL: url, Key: "mixed", Goroutines: 8, Expires: 10 * time.Second, Mixed: true, Section: 50 * time.Microsecond}))
	}
	for _, w := range workers {
		w.say("begin")
	}
	eventually(t, reached, "there were as many holds as are wanted", func() bool {
		total := 0
		for _, w := range workers {
			if w.ledger.len() < mixedHolds()/len(workers)/10 {
				return false
			}
			total += w.ledger.len()
		}
		return total >= mixedHolds()
	})
	for _, w := range workers {
		w.say("stop")
	}
	var lists [][]entry
	for i, w := range workers {
		w.finish()
		lists = append(lists, w.entries(i))
	}
	return lists
}

func TestKindsOfFourProcessesNeverMeetOnRedis(t *testing.T) {
	beside(t)
	server, _ := redisServer(t)
	checkMixed(t, competeInKinds(t, server.URL()))
}

func TestKindsOfFourProcessesNeverMeetInFiles(t *testing.T) {
	beside(t)
	checkMixed(t, competeInKinds(t, "file://"+filepath.Join(t.TempDir(), "locks")))
}

// TestKindsOfFourClientsNeverMeetInMemory is of one process, whose store they share.
func TestKindsOfFourClientsNeverMeetInMemory(t *testing.T) {
	beside(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := spec{Key: "mixed", Expires: 10 * time.Second, Mixed: true, Section: 50 * time.Microsecond}
	var ledgers []*ledger
	var wg sync.WaitGroup
	for range 4 {
		path := filepath.Join(t.TempDir(), "ledger")
		if err := createLedger(path); err != nil {
			t.Fatal(err)
		}
		l, unmap, err := openLedger(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unmap)
		ledgers = append(ledgers, l)
		c := openWith(t, lockclient.Config{Backend: "embedded://" + t.Name(), Expires: s.Expires})
		for range 8 {
			wg.Go(func() { // ends with ctx
				if err := s.loop(ctx, c, l); err != nil {
					t.Error(err)
				}
			})
		}
	}
	eventually(t, reached, "there were as many holds as are wanted", func() bool {
		total := 0
		for _, l := range ledgers {
			if l.len() < mixedHolds()/40 {
				return false
			}
			total += l.len()
		}
		return total >= mixedHolds()
	})
	cancel()
	wg.Wait()
	var lists [][]entry
	for i, l := range ledgers {
		lists = append(lists, l.entries(i, 0, s.Expires))
	}
	checkMixed(t, lists)
}

// A foreigner locks as redis-py and redsync do, with a value that is its own: SET NX PX, and a script that compares
// and deletes. It polls.
type foreigner struct {
	client *goredis.Client
	key    string // the full one
	pause  func() time.Duration
}

// loop takes and releases the key until ctx ends.
func (f foreigner) loop(ctx context.Context, l *ledger, section time.Duration) error {
	free := goredis.NewScript(`if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`)
	for ctx.Err() == nil {
		asked, token := stamp(), fmt.Sprintf("%032x", rand.Uint64())
		took, err := f.client.SetNX(ctx, f.key, token, 10*time.Second).Result()
		if ctx.Err() != nil {
			// The last one may have run.
			_, err := free.Run(context.WithoutCancel(ctx), f.client, []string{f.key}, token).Result()
			return err
		}
		if err != nil {
			return err
		}
		if !took {
			rest(ctx, f.pause())
			continue
		}
		claim, err := l.open(asked, 0)
		if err != nil {
			return err
		}
		rest(ctx, section)
		claim.ended.Store(stamp())
		if n, err := free.Run(context.WithoutCancel(ctx), f.client, []string{f.key}, token).Int(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("its lock is not its own: %d", n))
		}
		rest(ctx, 5*time.Millisecond)
	}
	return nil
}

// TestKindsBesideOtherLibrariesNeverMeet: two that lock as redis-py does, two as redsync, on the key of processes that
// share it. Those pause, so that the key is free now and then: who polls gets in only then.
func TestKindsBesideOtherLibrariesNeverMeet(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	var workers []*worker
	for range 2 {
		s := spec{URL: server.URL(), Key: "mixed", Goroutines: 3, Expires: 10 * time.Second, Mixed: true, Section: 200 * time.Microsecond, Pause: 20 * time.Millisecond}
		workers = append(workers, start(t, s))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ledgers []*ledger
	var wg sync.WaitGroup
	for i := range 4 {
		path := filepath.Join(t.TempDir(), "ledger")
		if err := createLedger(path); err != nil {
			t.Fatal(err)
		}
		l, unmap, err := openLedger(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unmap)
		ledgers = append(ledgers, l)
		f := foreigner{inside, lockclient.DefaultKeyPrefix + "mixed", func() time.Duration { return time.Millisecond }}
		if i%2 == 1 {
			f.pause = func() time.Duration { return time.Millisecond/2 + rand.N(2*time.Millisecond) }
		}
		wg.Go(func() { // ends with ctx
			if err := f.loop(ctx, l, 100*time.Microsecond); err != nil {
				t.Error(err)
			}
		})
	}
	for _, w := range workers {
		w.say("begin")
	}
	each := 50
	if *long {
		each = 2000
	}
	eventually(t, reached, "each has had its holds", func() bool {
		for _, w := range workers {
			if w.ledger.len() < each {
				return false
			}
		}
		for _, l := range ledgers {
			if l.len() < each/4 {
				return false
			}
		}
		return true
	})
	cancel()
	wg.Wait()
	var lists [][]entry
	for i, w := range workers {
		w.say("stop")
		w.finish()
		lists = append(lists, w.entries(i))
	}
	for i, l := range ledgers {
		lists = append(lists, l.entries(len(workers)+i, 0, 10*time.Second))
	}
	all := recorded(lists...)
	if err := errors.Join(history.Overlaps(all, nil), history.Fences(all)); err != nil {
		t.Error(err)
	}
	for i, list := range lists {
		t.Logf("%d: %d holds", i, len(list))
	}
}

// TestAKilledProcessGivesUpItsSharesAlone: those of others go on, and what it had is free by L1.
func TestAKilledProcessGivesUpItsSharesAlone(t *testing.T) {
	for _, kind := range []kindOf{{kind: backends.Shared}, {backends.Slots, 3}} {
		for _, place := range []string{"redis", "file"} {
			t.Run(place+"/"+kind.String(), func(t *testing.T) {
				beside(t)
				url, free := "file://"+filepath.Join(t.TempDir(), "locks"), jitter
				const expires = 2 * time.Second
				if place == "redis" {
					server, _ := redisServer(t)
					url, free = server.URL(), l1(expires)+jitter
				}
				victim := start(t, spec{URL: url, Key: "k", Goroutines: 2, Expires: expires, Claim: true, Only: kind.kind, N: kind.n})
				victim.say("begin")
				eventually(t, patience, "it has two holds", func() bool { return victim.ledger.len() == 2 })
				c := openWith(t, lockclient.Config{Backend: url, Expires: expires})
				opts := append(kind.options(), lockclient.Renew())
				mine := acquire(t, c, "k", opts...)
				other := openWith(t, lockclient.Config{Backend: url, Expires: expires})
				if _, err := other.TryAcquire(t.Context(), "k"); !errors.Is(err, lockclient.ErrHeld) {
					t.Fatalf("a key that is shared: %v", err)
				}
				victim.kill()
				at := time.Now()
				eventually(t, free, "what it had is free", func() bool {
					i, err := other.Inspect(t.Context(), "k")
					return err == nil && i.Held && len(i.Holders) == 1
				})
				if kind.kind == backends.Slots {
					two := acquire(t, other, "k", opts...)
					release(t, acquire(t, other, "k", opts...))
					release(t, two)
				}
				t.Logf("free after %v", time.Since(at))
				if err := mine.Check(t.Context()); err != nil {
					t.Errorf("another's hold: %v", err)
				}
				writer := acquiring(t, other, "k")
				eventually(t, patience, "the writer waits", func() bool { return other.Stats().Waiters == 1 })
				release(t, mine)
				release(t, granted(t, writer, 5*time.Second))
			})
		}
	}
}
