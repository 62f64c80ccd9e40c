//go:build unix

package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// TestManyKeysAreWaitedFor by one process, and another has them. Nothing happens, for which each takes little of a core and
// makes few calls. Then some are released at once.
func TestManyKeysAreWaitedFor(t *testing.T) {
	beside(t)
	keys, released, watch := 400, 100, time.Duration(0)
	if *long {
		keys, released, watch = 20_000, 1000, 10*time.Second
	}
	// Clients that close give back for some seconds, too few for so many on a busy machine: what is left isn't looked at.
	server := servertest.Redis(t)
	inside := server.RedisClient(t, nil)
	const lease = 30 * time.Minute
	open := func() *lockclient.Client {
		c, err := lockclient.Open(lockclient.Config{Backend: server.URL(), Expires: lease, MaxWaiters: keys})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	holder, waiter := open(), open()
	held, granted := make([]*lockclient.Lock, keys), make(chan time.Time, keys)
	ctx, giveUp := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range held {
		var err error
		if held[i], err = holder.Acquire(t.Context(), fmt.Sprint("awaited", i)); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() { // until giveUp
			if lock, err := waiter.Acquire(ctx, held[i].Key()); err == nil {
				granted <- time.Now()
				<-ctx.Done()
				_ = lock.Release()
			}
		})
	}
	defer waiting.Wait()
	defer giveUp()
	calls := func(command string) int { return servertest.Calls(t, inside, command) }
	eventually(t, patience, "all of them wait", func() bool { return calls("zadd") >= keys })
	from := calls("hget")
	eventually(t, patience, "each is repeated some times", func() bool { return calls("hget") >= from+10*keys })
	inside.ConfigResetStat(t.Context())
	before, began := spent(t, inside), time.Now()
	time.Sleep(watch)
	eventually(t, patience, "each is repeated", func() bool { return calls("hget") >= keys })
	if most := calls("hget") / 4; calls("evalsha") > most {
		t.Errorf("%d calls for %d repetitions", calls("evalsha"), calls("hget"))
	}
	if n := calls("zadd"); n != 0 {
		t.Errorf("%d were queued anew", n)
	}
	after, took := spent(t, inside), time.Since(began)
	client, store := share(after.client-before.client, took), share(after.server-before.server, took)
	t.Logf("%d keys: the two clients take %.3f of a core, the server %.3f", keys, client, store)
	// The goal is a tenth of a core for each of the three, and the server's is as much on a slower machine. A call for
	// each key takes ten times that.
	if *long && (client > 0.4 || store > 0.2) {
		t.Error("that is more than a fifth each")
	}
	began = time.Now()
	for i := range released {
		waiting.Go(func() {
			if err := held[i*keys/released].Release(); err != nil {
				t.Error(err)
			}
		})
	}
	var last time.Time
	for range released {
		last = <-granted
	}
	t.Logf("the last of %d was granted after %v", released, last.Sub(began))
	if most := 500*time.Millisecond + max(0, jitter-250*time.Millisecond); last.Sub(began) > most {
		t.Errorf("the last of %d was granted after %v, want within %v", released, last.Sub(began), most)
	}
}

// cpu is what was spent by this process, and by a server.
type cpu struct{ client, server time.Duration }

func share(d, of time.Duration) float64 { return float64(d) / float64(of) }

func spent(t *testing.T, inside *goredis.Client) (c cpu) {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	c.client = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	text := inside.Info(t.Context(), "cpu").Val()
	for _, of := range []string{"used_cpu_sys:", "used_cpu_user:"} {
		_, rest, _ := strings.Cut(text, of)
		var seconds float64
		if _, err := fmt.Sscan(rest, &seconds); err != nil {
			t.Fatal(err)
		}
		c.server += time.Duration(seconds * float64(time.Second))
	}
	return c
}
