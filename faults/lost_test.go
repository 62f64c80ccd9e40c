//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// scriptReply tells whether p begins with what a script answers: an array.
// Handshakes are answered by maps, pushes begin with '>'.
func scriptReply(l *link, p []byte) bool { return !l.pushes.Load() && p[0] == '*' }

// delayOneReply holds the next script's answer back for d, and counts those it has.
func (w *wire) delayOneReply(d time.Duration) *atomic.Int64 {
	var n atomic.Int64
	w.onReply(func(l *link, p []byte) fate {
		if scriptReply(l, p) && n.CompareAndSwap(0, 1) {
			<-time.After(d)
		}
		return pass
	})
	return &n
}

// A reply is lost when the work is done: the connection ends in its place. A
// hold would last a minute, so an attempt that doesn't know its own lease would
// wait that long for itself.
func TestAThousandLostRepliesBlockNobody(t *testing.T) {
	server, _ := redisServer(t)
	w := newWire(t, server.Addr)
	c := open(t, w.url(), owner)
	release(t, acquire(t, c, "warm"))
	var lost, holds, late atomic.Int64
	w.onReply(func(l *link, p []byte) fate {
		if scriptReply(l, p) && rand.N(3) == 0 {
			lost.Add(1)
			return cut
		}
		return pass
	})
	deadline := time.Now().Add(30 * time.Second)
	var inside [29]atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		key := max(0, g-3) // one key for four goroutines, and one for each of the rest
		wg.Go(func() {
			for lost.Load() < 1000 && time.Now().Before(deadline) {
				start := time.Now()
				lock, err := c.Acquire(t.Context(), fmt.Sprint("k", key), lockclient.Expires(time.Minute), lockclient.Timeout(10*time.Second))
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				late.Store(max(late.Load(), int64(time.Since(start)))) // roughly: it is for the log
				if inside[key].Add(1) != 1 {
					t.Error("overlap")
				}
				inside[key].Add(-1)
				if err := lock.Release(); err != nil {
					t.Errorf("release: %v", err)
				}
				holds.Add(1)
			}
		})
	}
	wg.Wait()
	w.onReply(nil)
	t.Logf("%d replies lost over %d holds; the longest wait about %v", lost.Load(), holds.Load(), time.Duration(late.Load()))
	if lost.Load() < 1000 {
		t.Errorf("only %d replies were lost in time", lost.Load())
	}
}

// The push that says "yours" is lost. The lease was given already, so nobody
// else can have it: it costs a heartbeat.
func TestALostPushCostsAHeartbeatOnce(t *testing.T) {
	server, _ := redisServer(t)
	w := newWire(t, server.Addr)
	holder, waiter := open(t, server.URL(), "holder"), open(t, w.url(), owner)
	release(t, acquire(t, waiter, "warm"))
	var lost atomic.Int64
	w.onReply(func(l *link, p []byte) fate {
		if l.pushes.Load() && bytes.Contains(p, []byte("\r\ngpylock:k\r\n")) && lost.CompareAndSwap(0, 1) {
			return swallow
		}
		return pass
	})
	for round := range 3 {
		lock := acquire(t, holder, "k")
		out := acquiring(t, waiter, "k", lockclient.Timeout(10*time.Second))
		eventually(t, time.Second, "it waits", func() bool {
			info, err := holder.Inspect(t.Context(), "k")
			return err == nil && info.Processes != nil && *info.Processes == 1
		})
		start := time.Now()
		release(t, lock)
		theirs := granted(t, out, heartbeat+jitter)
		took := time.Since(start)
		t.Logf("round %d: granted %v after the release", round, took)
		if round > 0 && took > jitter/2 {
			t.Errorf("it is still deaf: %v", took)
		}
		release(t, theirs)
	}
	if lost.Load() != 1 {
		t.Fatal("no push was lost: the test proves nothing")
	}
}

// One of four clients stops hearing anything in mid-run, though its connection
// stays. The others' holds go on: what it costs them is a heartbeat, once.
func TestADeafClientCostsTheOthersAHeartbeatOnce(t *testing.T) {
	server, _ := redisServer(t)
	w := newWire(t, server.Addr)
	var clients []*lockclient.Client
	for i := range 3 {
		clients = append(clients, open(t, server.URL(), fmt.Sprint("hearing ", i)))
	}
	clients = append(clients, open(t, w.url(), owner))
	const length = 1500 * time.Millisecond
	counts, pauses := contend(t, clients, "k", length)
	before := counts[0] + counts[1] + counts[2]
	t.Logf("all hear: %v holds, pauses over 100 ms: %v", counts, pauses)
	w.onReply(func(l *link, p []byte) fate {
		if l.pushes.Load() {
			return swallow
		}
		return pass
	})
	counts, pauses = contend(t, clients, "k", length)
	after := counts[0] + counts[1] + counts[2]
	t.Logf("one is deaf: %v holds, pauses over 100 ms: %v", counts, pauses)
	if after < before/2 {
		t.Errorf("the others had %d holds, and %d before", after, before)
	}
	if counts[3] == 0 {
		t.Error("the deaf one starved")
	}
	for _, p := range pauses {
		if p > heartbeat+jitter {
			t.Errorf("nobody had the key for %v", p)
		}
	}
	if len(pauses) > 2 {
		t.Errorf("%d pauses of more than 100 ms: %v", len(pauses), pauses)
	}
}

// contend lets eight goroutines of each client take the key; it returns the
// holds by client and the pauses in which nobody got it, if over 100 ms.
func contend(t *testing.T, clients []*lockclient.Client, key string, length time.Duration) (counts []int, pauses []time.Duration) {
	t.Helper()
	end := time.Now().Add(length)
	counts = make([]int, len(clients))
	// Guarded by the lock under test, as counts.
	var last time.Time
	var inside atomic.Int64
	var wg sync.WaitGroup
	for i, c := range clients {
		for range 8 {
			wg.Go(func() {
				for time.Now().Before(end) {
					lock, err := c.Acquire(t.Context(), key)
					if err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
					if inside.Add(1) != 1 {
						t.Error("overlap")
					}
					now := time.Now()
					if pause := now.Sub(last); !last.IsZero() && pause > 100*time.Millisecond {
						pauses = append(pauses, pause)
					}
					last = now
					counts[i]++
					inside.Add(-1)
					if err := lock.Release(); err != nil {
						t.Errorf("client %d: %v", i, err)
					}
				}
			})
		}
	}
	wg.Wait()
	return counts, pauses
}
