package lockclient

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest/history"
)

// TestCrowdsOfAllKinds has three processes take one key in all kinds, with downgrades and nested holds, on each backend
// that keeps them, and checks what they saw.
func TestCrowdsOfAllKinds(t *testing.T) {
	const processes, goroutines, each = 3, 6, 40
	for _, b := range exclusiveBackends[:3] {
		for _, linger := range []time.Duration{NoLinger, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, lingering: %v", b.name, linger > 0), func(t *testing.T) {
				t.Parallel()
				url, began := b.open(t), time.Now()
				var mu sync.Mutex // protects all
				var all []history.Hold
				record := func(h history.Hold) {
					h.Ended = int64(time.Since(began))
					mu.Lock()
					defer mu.Unlock()
					all = append(all, h)
				}
				var wg sync.WaitGroup
				for p := range processes {
					c := openClient(t, Config{Backend: url, Linger: linger})
					for g := range goroutines {
						m := member{c: c, process: p, began: began, record: record, rng: rand.New(rand.NewPCG(uint64(p), uint64(g)))}
						wg.Go(func() {
							for range each {
								m.takes(t)
							}
						})
					}
				}
				wg.Wait()
				if err := history.Overlaps(all, nil); err != nil {
					t.Error(err)
				}
				if err := history.Fences(all); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A member is one goroutine of a crowd.
type member struct {
	c       *Client
	process int
	began   time.Time
	record  func(history.Hold) // which ends now
	rng     *rand.Rand
}

func (m *member) now() int64 { return int64(time.Since(m.began)) }

// takes takes the key once.
func (m *member) takes(t *testing.T) {
	o := op{key: "k", kind: backends.Kind(m.rng.IntN(3))}
	if o.kind == backends.Slots {
		o.n = 1 + m.rng.Int32N(4)
	}
	h := history.Hold{Process: m.process, Kind: o.kind, N: int(o.n), Asked: m.now()}
	lock, err := o.acquire(t.Context(), m.c, []Option{Expires(time.Minute), Timeout(patience)})
	if err != nil {
		t.Error(err)
		return
	}
	h.Granted, h.Fence = m.now(), lock.Fence()
	time.Sleep(time.Duration(m.rng.IntN(1000)) * time.Microsecond) // the critical section
	if o.kind == backends.Exclusive && m.rng.IntN(3) == 0 {
		m.record(h)
		if err := lock.hold.Downgrade(); err != nil {
			t.Error(err)
		}
		h.Kind, h.Granted, h.Fence = backends.Shared, m.now(), 0
	}
	if h.Kind == backends.Shared && m.rng.IntN(3) == 0 {
		m.nests(t, lock)
	}
	m.record(h)
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// nests has the callee of one that reads read.
func (m *member) nests(t *testing.T, parent *Lock) {
	o := op{key: "k", kind: backends.Shared}
	h := history.Hold{Process: m.process, Kind: o.kind, Nested: true, Asked: m.now()}
	lock, err := m.c.acquireWithin(t.Context(), parent, o, []Option{Expires(time.Minute), Timeout(patience)})
	if err != nil {
		t.Error(err)
		return
	}
	h.Granted, h.Fence = m.now(), lock.Fence()
	m.record(h)
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}
