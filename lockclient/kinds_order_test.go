package lockclient

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An order is a key that clients wait for and hold, one at a time each, beside a model that knows
// who has to have it: those at the head of the one queue that can be in together. Nobody else may come.
type order struct {
	t       *testing.T
	clients []*Client
	grants  chan grantOf
	log     []string

	queue   []*party
	holders []*party
}

// A party is one client's wait, and then its hold.
type party struct {
	client int
	kind   Kind
	n      int
	lock   *Lock
}

type grantOf struct {
	*party
	lock *Lock
	err  error
}

func (p *party) String() string {
	if p.kind == KindSlots {
		return fmt.Sprintf("%d:slots of %d", p.client, p.n)
	}
	return fmt.Sprintf("%d:%v", p.client, p.kind)
}

func (p *party) options() []Option {
	opts := []Option{Renew(), Expires(time.Minute)}
	switch p.kind {
	case KindShared:
		opts = append(opts, Shared())
	case KindSlots:
		opts = append(opts, Slots(p.n))
	}
	return opts
}

// fits reports whether p can hold the key beside those who have it.
func (o *order) fits(p *party) bool {
	for _, h := range o.holders {
		if h.kind != p.kind || h.kind == KindExclusive {
			return false
		}
	}
	return p.kind != KindSlots || len(o.holders) < p.n
}

// settle waits until all have the key that are to have it now.
func (o *order) settle() {
	o.t.Helper()
	for len(o.queue) > 0 && o.fits(o.queue[0]) {
		// Those that fit together come in as they like; each goes before the ones that don't.
		var due []*party
		for len(o.queue) > 0 && o.fits(o.queue[0]) {
			due = append(due, o.queue[0])
			o.holders, o.queue = append(o.holders, o.queue[0]), o.queue[1:]
		}
		for len(due) > 0 {
			g := o.next()
			at := slices.Index(due, g.party)
			if at < 0 || g.err != nil {
				o.t.Fatalf("%v came (%v), due were %v, waiting %v\n%s", g.party, g.err, due, o.queue, strings.Join(o.log, "\n"))
			}
			g.party.lock = g.lock
			due = slices.Delete(due, at, at+1)
		}
	}
	select {
	case g := <-o.grants:
		o.t.Fatalf("%v came (%v) and was not due; waiting %v, holding %v\n%s", g.party, g.err, o.queue, o.holders, strings.Join(o.log, "\n"))
	default:
	}
}

func (o *order) next() grantOf {
	o.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case g := <-o.grants:
		return g
	case <-late.C:
		o.t.Fatalf("nobody came within %v; waiting %v, holding %v\n%s", patience, o.queue, o.holders, strings.Join(o.log, "\n"))
	}
	panic("unreachable")
}

// arrive has a client want the key, and returns when the next may come behind it.
func (o *order) arrive(p *party) {
	o.t.Helper()
	o.log = append(o.log, fmt.Sprintf("%v arrives", p))
	o.queue = append(o.queue, p)
	waits := len(o.queue) > 1 || !o.fits(p)
	c := o.clients[p.client]
	ctx := o.t.Context()
	go func() { // ends with its grant, or the test
		l, err := c.Acquire(ctx, "k", p.options()...)
		o.grants <- grantOf{p, l, err}
	}()
	if waits {
		eventually(o.t, "it is in the queue", func() bool {
			i, err := c.Inspect(context.Background(), "k")
			return err == nil && i.Place != nil && *i.Place > 0
		})
	}
	o.settle()
}

func (o *order) leave(at int) {
	o.t.Helper()
	p := o.holders[at]
	o.log = append(o.log, fmt.Sprintf("%v leaves", p))
	o.holders = slices.Delete(o.holders, at, at+1)
	if err := p.lock.Release(); err != nil {
		o.t.Fatalf("release of %v: %v\n%s", p, err, strings.Join(o.log, "\n"))
	}
	o.settle()
}

// TestNobodyOvertakesInAnyKind is a random walk: clients come and go, and after each step those have the key
// who are to have it by their place in the queue.
func TestNobodyOvertakesInAnyKind(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("TURNSTILE_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	steps := 150
	if *long {
		steps = 3000
	}
	for _, b := range kindBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 20))
			url := b.open(t)
			o := &order{t: t, grants: make(chan grantOf, 16)}
			for range 8 {
				o.clients = append(o.clients, openClient(t, Config{Backend: url, Timeout: patience}))
			}
			t.Logf("TURNSTILE_TEST_SEED=%d", seed)
			for range steps {
				idle := o.idle()
				if len(idle) > 0 && (len(o.holders) == 0 || rng.IntN(2) == 0) {
					p := &party{client: idle[rng.IntN(len(idle))], kind: Kind(rng.IntN(3))}
					if p.kind == KindSlots {
						p.n = 1 + rng.IntN(4)
					}
					o.arrive(p)
				} else {
					o.leave(rng.IntN(len(o.holders)))
				}
			}
			for len(o.holders) > 0 {
				o.leave(0)
			}
			if len(o.queue) > 0 {
				t.Errorf("nobody holds the key, and %v wait", o.queue)
			}
		})
	}
}

// idle are the clients that neither hold nor wait.
func (o *order) idle() (all []int) {
	for i := range o.clients {
		busy := func(p *party) bool { return p.client == i }
		if !slices.ContainsFunc(o.holders, busy) && !slices.ContainsFunc(o.queue, busy) {
			all = append(all, i)
		}
	}
	return all
}
