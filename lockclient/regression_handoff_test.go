package lockclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Where no push tells that others wait, a lease lingered for all of Linger
// with somebody else waiting.
func TestWithoutWakesALeaseLingersNoLongerThanATenure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tenure = 50 * time.Millisecond
		s := newStore()
		c := newOver(t, newFake(s, 1, faults{}), Config{Linger: time.Hour, Tenure: tenure})
		lock := acquire(t, c, "k", Expires(time.Minute))
		if l, _ := s.lease("k"); time.Until(l.ends) > 2*time.Minute {
			t.Errorf("the lease of a hold of a minute lasts %v", time.Until(l.ends))
		}
		release(t, lock)
		time.Sleep(tenure - time.Millisecond) // virtual
		if _, held := s.lease("k"); !held {
			t.Error("the lease does not linger at all")
		}
		time.Sleep(2 * time.Millisecond) // virtual
		if l, held := s.lease("k"); held {
			t.Errorf("the lease stays for another %v", time.Until(l.ends))
		}
	})
}

// A pushingBackend declares wakes; none is ever due here.
type pushingBackend struct{ *fakeBackend }

func (pushingBackend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "fake", Exclusive: true, Wakes: true}
}

// untilGap is how long it is until the processes with that PollerGap make one.
func untilGap(gap time.Duration) time.Duration {
	cycle := 11 * gap
	return cycle - time.Duration(time.Now().UnixNano())%cycle
}

// PollerGap was looked at by holds alone, so a lease that lingered kept
// pollers from the key for all of Linger.
func TestALeaseThatLingersMakesItsPollerGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gap = 100 * time.Millisecond
		s := newStore()
		c := newOver(t, pushingBackend{newFake(s, 1, faults{})}, Config{Linger: time.Hour, PollerGap: gap})
		start, due := time.Now(), untilGap(gap)
		release(t, acquire(t, c, "k"))
		time.Sleep(due - time.Millisecond) // virtual
		if _, held := s.lease("k"); !held {
			t.Error("the lease does not linger until the gap is due")
		}
		time.Sleep(2 * time.Millisecond) // virtual
		if _, held := s.lease("k"); held {
			t.Error("the gap is due, and the key is kept")
		}
		lock := acquire(t, c, "k")
		if d := time.Since(start); d < due+gap || d > due+gap+10*time.Millisecond {
			t.Errorf("the key was taken back %v after it was first taken, want all of the gap that is due after %v", d, due)
		}
		release(t, lock)
	})
}

// A new lease began the count to the next gap anew. A key that is freed for an
// instant now and then, or that two processes pass to and fro, never had a gap.
func TestANewLeaseDoesNotPutThePollerGapOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gap = 100 * time.Millisecond
		const hold = gap / 7
		s := newStore()
		cfg := Config{PollerGap: gap}
		clients := []*Client{newOver(t, newFake(s, 1, faults{}), cfg), newOver(t, newFake(s, 2, faults{}), cfg)}
		for _, c := range clients { // both have met the key
			release(t, acquire(t, c, "k"))
		}
		for round := range 3 {
			due := time.Now().Add(untilGap(gap))
			for i := 0; time.Now().Before(due); i++ { // a lease each, with an instant in between
				lock := acquire(t, clients[i%2], "k")
				time.Sleep(hold) // virtual
				release(t, lock)
			}
			if late := time.Since(due); late > hold {
				t.Fatalf("round %d: the key was freed %v after the gap was due", round, late)
			}
			freed := time.Now()
			for _, c := range clients {
				if lock, err := c.TryAcquire(t.Context(), "k"); err == nil {
					release(t, lock)
					t.Errorf("round %d: the gap is due, and the key is taken", round)
				}
			}
			for _, c := range clients {
				release(t, acquire(t, c, "k"))
			}
			if d := time.Since(freed); d < gap-hold || d > gap+hold {
				t.Errorf("round %d: the key was taken again after %v, want %v", round, d, gap)
			}
		}
	})
}

// The lease that NoHandoff wanted back before the next hold was one that
// excludes nobody, so those who came meanwhile waited for the holder.
func TestOpenNeverExcludesWithoutHandoffEither(t *testing.T) {
	c := openClient(t, Config{Backend: "open://", NoHandoff: true})
	held := acquire(t, c, "k")
	for _, timeout := range []time.Duration{time.Second, 0} {
		lock, err := c.Acquire(t.Context(), "k", Timeout(timeout))
		if err != nil {
			t.Errorf("timeout %v: %v", timeout, err)
			continue
		}
		release(t, lock)
	}
	release(t, held)
}

// An extension beyond MaxHold was confirmed, and granted up to MaxHold only;
// the store's lease grew to all of it.
func TestAnExtensionBeyondMaxHoldIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c := newOver(t, newFake(s, 1, faults{}), Config{})
		lock := acquire(t, c, "k", Expires(time.Second), Renew(), MaxHold(5*time.Second))
		before := lock.Deadline()
		if err := lock.Extend(time.Hour); !errors.Is(err, ErrInvalid) {
			t.Errorf("extend by an hour: %v, want ErrInvalid", err)
		}
		if !lock.Deadline().Equal(before) {
			t.Errorf("the deadline is %v, was %v", lock.Deadline(), before)
		}
		if l, _ := s.lease("k"); time.Until(l.ends) > 5*time.Second {
			t.Errorf("the store's lease lasts %v", time.Until(l.ends))
		}
		want := time.Now().Add(3 * time.Second)
		if err := lock.Extend(3 * time.Second); err != nil || !lock.Deadline().Equal(want) {
			t.Errorf("extend by 3 s: %v, deadline %v, want %v", err, lock.Deadline(), want)
		}
		release(t, lock)
	})
}

// A line is who waits for the one key of some lineBackends.
type line struct {
	mu   sync.Mutex // protects what follows
	want map[backends.Session]bool
	told time.Time // when somebody was first answered Held
	back time.Time // when the lease was first given back after that
}

// A lineBackend polls, like file://: that another session waits shows in the
// reply of a renewal, and nowhere else. Who waits is served before who has just
// had the key.
type lineBackend struct {
	*fakeBackend
	*line
}

const lineLatency = time.Millisecond

func (b lineBackend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	time.Sleep(lineLatency) // virtual
	b.line.mu.Lock()
	defer b.line.mu.Unlock()
	me := r.Token.Session()
	delete(b.want, me)
	held := backends.Reply{Outcome: backends.Held, Retry: 10 * time.Millisecond}
	if len(b.want) > 0 {
		return held, nil
	}
	p, err := b.fakeBackend.Acquire(ctx, r)
	if p.Outcome == backends.Held {
		b.want[me] = true
		if b.told.IsZero() {
			b.told = time.Now()
		}
	}
	return p, err
}

func (b lineBackend) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	time.Sleep(lineLatency) // virtual
	p, err := b.fakeBackend.Renew(ctx, a, ttl, known)
	b.line.mu.Lock()
	defer b.line.mu.Unlock()
	p.Contended = len(b.want) > 0
	return p, err
}

func (b lineBackend) Release(ctx context.Context, a backends.Attempt) error {
	b.line.mu.Lock()
	if !b.told.IsZero() && b.back.IsZero() {
		b.back = time.Now()
	}
	b.line.mu.Unlock()
	return b.fakeBackend.Release(ctx, a)
}

// L4 by polling: a process that handed a hot key from goroutine to goroutine
// learned that another waited only when its lease ran short, which with a Linger
// of a minute was 20 s later.
func TestAHotQueueThatIsToldByPollingHandsTheKeyOn(t *testing.T) {
	const tenure, step = 100 * time.Millisecond, 13 * time.Millisecond
	for _, linger := range []time.Duration{0, time.Minute} {
		// The other process comes at any time between two looks.
		for late := time.Duration(0); late < tenure; late += step {
			t.Run(fmt.Sprintf("linger %v, %v later", linger, late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { handsOn(t, Config{Tenure: tenure, Linger: linger}, late) })
			})
		}
	}
}

// handsOn keeps a key hot in one process, and lets another come a while later.
func handsOn(t *testing.T, cfg Config, late time.Duration) {
	const hold = 5 * time.Millisecond
	s, l := newStore(), &line{want: map[backends.Session]bool{}}
	hot := newOver(t, lineBackend{newFake(s, 1, faults{}), l}, cfg)
	other := newOver(t, lineBackend{newFake(s, 2, faults{}), l}, cfg)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				lock, err := hot.Acquire(t.Context(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(hold) // virtual
				release(t, lock)
			}
		})
	}
	time.Sleep(time.Second + late) // virtual
	start := time.Now()
	lock := acquire(t, other, "k")
	waited := time.Since(start)
	release(t, lock)
	stop()
	wg.Wait()

	back := l.back.Sub(l.told)
	if least, most := cfg.Tenure, cfg.Tenure*3/2+lineLatency+hold; back < least || back > most {
		t.Errorf("the lease went back %v after another process began to wait, want %v to %v", back, least, most)
	}
	// A poll comes 10 ms later at most, and three calls take their time.
	if most := cfg.Tenure*3/2 + hold + 10*time.Millisecond + 4*lineLatency; waited > most {
		t.Errorf("the other process waited %v, want at most %v", waited, most)
	}
}

// eagerFake answers a call with what was true when it came, and has others come
// while the answer is on its way: they are told of by a push, which is faster.
type eagerFake struct {
	*wakingFake
	verb string // during which somebody comes to wait
}

func (f *eagerFake) overtake(verb, key string) {
	if f.verb == verb {
		f.wake(backends.Wake{Key: key, Kind: backends.Wanted})
		time.Sleep(time.Millisecond) // virtual: the push is there before the answer
	}
}

func (f *eagerFake) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	reply, err := f.wakingFake.Acquire(ctx, r)
	f.overtake("acquire", r.Key)
	return reply, err
}

func (f *eagerFake) Renew(ctx context.Context, a backends.Attempt, ttl time.Duration, known uint64) (backends.Reply, error) {
	reply, err := f.wakingFake.Renew(ctx, a, ttl, known)
	f.overtake("renew", a.Key)
	return reply, err
}

// Two processes in turn on Redis: every tenth time or so one kept the key for a
// heartbeat (300 ms) in place of a Tenure, for it had been told too early.
func TestAWantedThatOvertakesAnAnswerIsNotForgotten(t *testing.T) {
	for _, verb := range []string{"acquire", "renew"} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &eagerFake{&wakingFake{fakeBackend: newFake(newStore(), 1, faults{})}, verb}
				c, err := New(fake, Config{KeyPrefix: NoPrefix})
				if err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				stop := time.Now().Add(2 * time.Second)
				for range 2 { // one holds, and one waits here, so that the key is handed on
					wg.Go(func() {
						for time.Now().Before(stop) {
							l := mustAcquire(t, c, "k", Expires(300*time.Millisecond))
							time.Sleep(time.Millisecond) // virtual
							if err := l.Release(); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				if st := c.Stats(); st.Holds-st.Handoffs < 10 {
					t.Errorf("%d leases for %d holds in 2 s, with somebody waiting all the time", st.Holds-st.Handoffs, st.Holds)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
