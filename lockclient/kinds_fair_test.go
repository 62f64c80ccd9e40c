package lockclient

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A crew is a number of goroutines of one process that take the key again and again.
type crew struct {
	client int
	kind   backends.Kind
	n      int32
	each   int           // how many goroutines
	lasts  time.Duration // a hold
}

// A schedule has the crews of up to four processes, and how long one may wait: where each message arrives, and where
// each third push is lost. A turn of a process lasts a Tenure and the holds under way then, 50 ms in all, and a call 5;
// a lost push costs a heartbeat.
type schedule struct {
	name         string
	bound, lossy time.Duration
	crews        []crew
}

const brief = 30 * time.Millisecond

var schedules = []schedule{
	{"a writer under 64 readers", 150 * time.Millisecond, 700 * time.Millisecond, []crew{
		{client: 0, each: 1, lasts: brief},
		{client: 1, kind: backends.Shared, each: 32, lasts: brief},
		{client: 2, kind: backends.Shared, each: 32, lasts: brief},
	}},
	{"a writer among readers of its process", 150 * time.Millisecond, 700 * time.Millisecond, []crew{
		{client: 0, each: 1, lasts: brief},
		{client: 0, kind: backends.Shared, each: 32, lasts: brief},
		{client: 1, kind: backends.Shared, each: 32, lasts: brief},
	}},
	{"a reader under writers", 600 * time.Millisecond, 1600 * time.Millisecond, []crew{
		{client: 0, kind: backends.Shared, each: 1, lasts: brief},
		{client: 1, each: 4, lasts: brief},
		{client: 2, each: 4, lasts: brief},
	}},
	{"slots of three processes", 600 * time.Millisecond, 2100 * time.Millisecond, []crew{
		{client: 0, kind: backends.Slots, n: 3, each: 8, lasts: brief},
		{client: 1, kind: backends.Slots, n: 3, each: 8, lasts: brief},
		{client: 2, kind: backends.Slots, n: 3, each: 8, lasts: brief},
	}},
	{"one of two under many of five", 300 * time.Millisecond, 1100 * time.Millisecond, []crew{
		{client: 0, kind: backends.Slots, n: 2, each: 1, lasts: brief},
		{client: 1, kind: backends.Slots, n: 5, each: 8, lasts: brief},
		{client: 2, kind: backends.Slots, n: 5, each: 8, lasts: brief},
	}},
	{"a long hold, and one behind it in its process", 600 * time.Millisecond, 2100 * time.Millisecond, []crew{
		{client: 0, kind: backends.Slots, n: 3, each: 1, lasts: 20 * time.Second},
		{client: 0, kind: backends.Slots, n: 3, each: 1, lasts: brief},
		{client: 1, kind: backends.Slots, n: 3, each: 8, lasts: brief},
		{client: 2, kind: backends.Slots, n: 3, each: 8, lasts: brief},
	}},
	{"a long reader, and a writer behind it in its process", 1200 * time.Millisecond, 2100 * time.Millisecond, []crew{
		{client: 0, kind: backends.Shared, each: 1, lasts: time.Second},
		{client: 0, each: 1, lasts: brief},
		{client: 1, kind: backends.Shared, each: 8, lasts: brief},
		{client: 2, kind: backends.Shared, each: 8, lasts: brief},
	}},
	{"all kinds", 600 * time.Millisecond, 2100 * time.Millisecond, []crew{
		{client: 0, kind: backends.Slots, n: 2, each: 2, lasts: brief},
		{client: 0, each: 1, lasts: brief},
		{client: 1, kind: backends.Shared, each: 8, lasts: brief},
		{client: 2, each: 2, lasts: brief},
		{client: 3, kind: backends.Slots, n: 5, each: 8, lasts: brief},
	}},
}

// TestNobodyStarves (L4, whichever the kind) has callers that never pause, in virtual time.
func TestNobodyStarves(t *testing.T) {
	for _, sch := range schedules {
		t.Run(sch.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { sch.run(t, 0, sch.bound) })
			synctest.Test(t, func(t *testing.T) { sch.run(t, 33, sch.lossy) })
		})
	}
}

func (sch *schedule) run(t *testing.T, lost int, bound time.Duration) {
	const length = 6 * time.Second
	s := newStore()
	var clients [4]*Client
	for i := range clients {
		b := newPusher(s, uint64(i)+1, faults{latency: 5 * time.Millisecond}, pushFaults{lost: lost})
		c, err := New(b, Config{KeyPrefix: NoPrefix})
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = c
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range sch.crews {
		for range c.each {
			wg.Go(func() { c.works(ctx, t, clients[c.client], lost, bound) })
		}
	}
	wg.Wait()
	for _, c := range clients {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// works takes the key until ctx ends.
func (c crew) works(ctx context.Context, t *testing.T, client *Client, lost int, bound time.Duration) {
	o := op{key: "k", kind: c.kind, n: c.n}
	holds := 0
	for ctx.Err() == nil {
		came := time.Now()
		lock, err := o.acquire(ctx, client, []Option{Renew(), Timeout(time.Minute)})
		if waited := time.Since(came); waited > bound {
			t.Errorf("%d %% of the pushes lost: client %d waited for a hold of kind %v, %d, for %v, bound %v", lost, c.client, c.kind, c.n, waited, bound)
		}
		if err != nil {
			break // the end of it all
		}
		holds++
		sleep(ctx, c.lasts)
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	if holds == 0 {
		t.Errorf("%d %% of the pushes lost: nobody had a hold of kind %v", lost, c.kind)
	}
}
