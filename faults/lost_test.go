//go:build unix

package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// scriptReply tells whether p begins with what a script answers: an array, or of the fast script a string that begins
// with an attempt's number. Handshakes are answered by maps, pushes begin with '>'.
func scriptReply(l *link, p []byte) bool {
	return !l.pushes.Load() && (p[0] == '*' || fastReply.Match(p))
}

var fastReply = regexp.MustCompile(`^\$\d+\r\n\d{12}`)

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
func TestLostRepliesBlockNobody(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		// The driver's way to one server is the shortest, and the others build on it.
		want := int64(1000)
		if p.form != oneServer {
			want = 150
		}
		lostReplies(t, p, want)
	})
}

func lostReplies(t *testing.T, p *place, want int64) {
	w := newWire(t)
	c := p.through(w.door, owner, 0)
	var keys [29]string
	for i := range keys {
		keys[i] = p.key("k")
		release(t, acquire(t, c, keys[i])) // all servers are known
	}
	var lost, holds, late atomic.Int64
	w.onReply(func(l *link, b []byte) fate {
		if scriptReply(l, b) && rand.N(3) == 0 {
			lost.Add(1)
			return cut
		}
		return pass
	})
	deadline := time.Now().Add(5 * time.Minute)
	var inside [len(keys)]atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		key := max(0, g-3) // one key for four goroutines, and one for each of the rest
		wg.Go(func() {
			for lost.Load() < want && time.Now().Before(deadline) {
				start := time.Now()
				lock, err := c.Acquire(t.Context(), keys[key], lockclient.Expires(time.Minute), lockclient.Timeout(patience))
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				late.Store(max(late.Load(), int64(time.Since(start)))) // roughly: it is for the log
				if inside[key].Add(1) != 1 {
					t.Error("overlap")
				}
				inside[key].Add(-1)
				// On a busy machine it may go on in the background.
				if err := lock.Release(); err != nil && (*long || !errors.Is(err, lockclient.ErrUnavailable)) {
					t.Errorf("release: %v", err)
				}
				holds.Add(1)
			}
		})
	}
	wg.Wait()
	w.onReply(nil)
	t.Logf("%d replies lost over %d holds; the longest wait about %v", lost.Load(), holds.Load(), time.Duration(late.Load()))
	if lost.Load() < want {
		t.Errorf("only %d replies were lost in time", lost.Load())
	}
}

// The push that says "yours" is lost. The lease was given already, so nobody
// else can have it: it costs a heartbeat.
func TestALostPushCostsAHeartbeatOnce(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		w, key := newWire(t), p.key("k")
		holder, waiter := open(t, p.URL(""), "holder"), p.through(w.door, owner, 0)
		release(t, acquire(t, waiter, p.key("warm")))
		gives := regexp.MustCompile(`\r\nl\d{53}pylock:` + key + `\r\n`)
		var lost atomic.Int64
		w.onReply(func(l *link, b []byte) fate {
			if l.pushes.Load() && gives.Match(b) && lost.CompareAndSwap(0, 1) {
				return swallow
			}
			return pass
		})
		for round := range 3 {
			lock := acquire(t, holder, key)
			out := acquiring(t, waiter, key, lockclient.Timeout(patience))
			eventually(t, time.Second, "it waits", func() bool {
				info, err := holder.Inspect(t.Context(), key)
				return err == nil && info.Processes != nil && *info.Processes == 1
			})
			start := time.Now()
			release(t, lock)
			theirs := granted(t, out, heartbeat)
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
	})
}

// One of four clients stops hearing anything in mid-run, though its connection
// stays. The others' holds go on: what it costs them is a heartbeat, once.
func TestADeafClientCostsTheOthersAHeartbeatOnce(t *testing.T) {
	beside(t)
	everywhere(t, deafClient)
}

func deafClient(t *testing.T, p *place) {
	w, key := newWire(t), p.key("k")
	var clients []*lockclient.Client
	for i := range 3 {
		clients = append(clients, open(t, p.URL(""), fmt.Sprint("hearing ", i)))
	}
	clients = append(clients, p.through(w.door, owner, 0))
	length, share := 1500*time.Millisecond, 2.0
	if p.form != oneServer {
		// Two heartbeats are enough for what differs; in so short a time the deaf
		// one's polls weigh more.
		length, share = 700*time.Millisecond, 4
	}
	counts, pauses := contend(t, clients, key, length)
	before := counts[0] + counts[1] + counts[2]
	t.Logf("all hear: %v holds, pauses over 100 ms: %v", counts, pauses)
	w.onReply(func(l *link, b []byte) fate {
		if l.pushes.Load() {
			return swallow
		}
		return pass
	})
	// A machine with other work pauses now and then; a defect does so each time.
	var wrong []string
	for try := 0; try == 0 || *long && try < tries && len(wrong) > 0; try++ {
		counts, pauses = contend(t, clients, key, length)
		t.Logf("one is deaf: %v holds, pauses over 100 ms: %v", counts, pauses)
		wrong = deafCosts(counts, pauses, length, float64(before)/float64(length)/share)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// deafCosts says what is wrong with a time in which the last client was deaf and the others
// should have had least holds a nanosecond, pauses apart.
func deafCosts(counts []int, pauses []time.Duration, length time.Duration, least float64) (wrong []string) {
	others, active := counts[0]+counts[1]+counts[2], length
	for _, pause := range pauses {
		active -= pause
		if pause > heartbeat+jitter {
			wrong = append(wrong, fmt.Sprintf("nobody had the key for %v", pause))
		}
	}
	if *long && float64(others)/float64(active) < least {
		wrong = append(wrong, fmt.Sprintf("the others had %d holds in %v, want %.0f", others, active, least*float64(active)))
	}
	if *long && len(pauses) > 2 {
		wrong = append(wrong, fmt.Sprintf("%d pauses of more than 100 ms: %v", len(pauses), pauses))
	}
	if others == 0 {
		wrong = append(wrong, "the others starved")
	}
	if counts[3] == 0 {
		wrong = append(wrong, "the deaf one starved")
	}
	return wrong
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
