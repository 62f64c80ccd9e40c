//go:build unix

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// answersToAdds has see decide the fate of the answers to adds of locks, which
// come one to a request on a connection.
func (w *wire) answersToAdds(see func(answer []byte) fate) {
	var adding sync.Map // of links, whose last request was an add
	w.onRequest(func(l *link, p []byte) fate {
		adding.Store(l, bytes.HasPrefix(p, []byte("add pylock:")))
		return pass
	})
	w.onReply(func(l *link, p []byte) fate {
		if was, _ := adding.Load(l); was == true {
			return see(p)
		}
		return pass
	})
}

// The answers to a thousand adds are held back until nobody listens any more. A
// hold would last a minute, so an attempt that doesn't know its own token would
// wait that long for itself, and so would all others.
func TestAThousandTimedOutAddsBlockNobody(t *testing.T) {
	beside(t)
	server, inside := memcachedServer(t)
	w := newWire(t)
	c := open(t, "memcache://"+w.door(server.Addr)+"?timeout=25ms&lazy=true", owner) // Open would fail on a slow machine
	want := int64(1000)
	if !*long {
		want = 200 // a busy machine has late answers of its own
	}
	var late atomic.Int64
	w.answersToAdds(func(answer []byte) fate {
		if bytes.Equal(answer, []byte("STORED\r\n")) && late.Load() < want {
			late.Add(1)
			return swallow
		}
		return pass
	})
	deadline := time.Now().Add(5 * time.Minute)
	const keys = 29
	var within [keys]atomic.Int64
	var longest, holds atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		key := max(0, g-3) // one key for four goroutines, and one for each of the rest
		wg.Go(func() {
			for late.Load() < want && time.Now().Before(deadline) {
				start := time.Now()
				lock, err := c.Acquire(t.Context(), fmt.Sprint("k", key), lockclient.Expires(time.Minute), lockclient.Timeout(patience))
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				longest.Store(max(longest.Load(), int64(time.Since(start)))) // roughly: it is for the log
				if within[key].Add(1) != 1 {
					t.Error("overlap")
				}
				within[key].Add(-1)
				// On a busy machine it may go on in the background.
				if err := lock.Release(); err != nil && !errors.Is(err, lockclient.ErrUnavailable) {
					t.Errorf("release: %v", err)
				}
				holds.Add(1)
			}
		})
	}
	wg.Wait()
	w.onReply(nil)
	t.Logf("%d adds timed out over %d holds; the longest wait about %v", late.Load(), holds.Load(), time.Duration(longest.Load()))
	if late.Load() < want {
		t.Errorf("only %d adds timed out in time", late.Load())
	}
	for key := range keys { // requests in the background get through now
		eventually(t, patience, fmt.Sprintf("key %d is nobody's", key), func() bool {
			_, err := inside.Get(fmt.Sprint("pylock:k", key))
			return err != nil
		})
	}
}

// A caller that gave up while its add was on its way leaves nothing either, but
// for the seconds that an unconfirmed token lasts.
func TestAnAddThatComesWhenItsCallerIsGoneBlocksBriefly(t *testing.T) {
	beside(t)
	server, inside := memcachedServer(t)
	w := newWire(t)
	c, other := open(t, "memcache://"+w.door(server.Addr)+"?timeout=25ms&lazy=true", owner), open(t, server.URL(), "other")
	p := w.holdBack(t, func(b []byte) bool { return bytes.HasPrefix(b, []byte("add pylock:k ")) })
	// The first add is held back, and the one that takes its place is stored.
	lock := acquire(t, c, "k", lockclient.Expires(time.Minute))
	<-p.caught
	must(t, letGo(lock))
	p.letGo()
	eventually(t, time.Second, "the late add is stored", func() bool {
		_, err := inside.Get("pylock:k")
		return err == nil
	})
	start := time.Now()
	lock = acquire(t, other, "k", lockclient.Timeout(patience))
	if took := time.Since(start); took > 3*time.Second+jitter {
		t.Errorf("the late add kept the key for %v", took)
	}
	release(t, lock)
}
