package machine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// crowd has so many wait behind a, each as long as until says; 0: for ever.
func crowd(n int, until func(i int) time.Duration) *play {
	p := newPlay().all(set(func(c *Config) { c.MaxWaiters = n })).all(leasedBy("a", lasting(time.Hour))...)
	for i := range n {
		p.do(arrive(fmt.Sprint(i), waiting(until(i))))
	}
	return p
}

func forever(int) time.Duration { return 0 }

// TestOrder (L3): the key goes to those who wait in the order in which they came, and
// those who left are not missed.
func TestOrder(t *testing.T) {
	p := crowd(6, forever).all(leave("0"), leave("3"), leave("5"), arrive("6"))
	var order []string
	for last := "a"; p.m.queue.len > 0; last = order[len(order)-1] {
		p.do(release(last))
		order = append(order, p.did[1].Hold.Tag.(string))
		p.do(taken)
	}
	if want := []string{"1", "2", "4", "6"}; !slices.Equal(order, want) {
		t.Errorf("the key went to %q, want %q", order, want)
	}
}

// TestPlaces: each waiter is told its place, but those deep in a long queue.
func TestPlaces(t *testing.T) {
	const n = 3 * placeSteps
	p := crowd(n, forever)
	for i, want := range map[int]int{
		0: 1, 1: 2, placeSteps - 1: placeSteps, placeSteps: 0, n - placeSteps - 1: 0, n - placeSteps: n - placeSteps + 1, n - 1: n,
	} {
		if got := p.m.Why(p.hold(fmt.Sprint(i)), p.now).Place; got != want {
			t.Errorf("waiter %d: place %d, want %d", i, got, want)
		}
	}
	if got := p.m.Why(p.hold("a"), p.now).Place; got != 0 {
		t.Errorf("a holder: place %d, want 0", got)
	}
	short := crowd(3, forever)
	for i := range 3 {
		if got := short.m.Why(short.hold(fmt.Sprint(i)), short.now).Place; got != i+1 {
			t.Errorf("waiter %d of 3: place %d, want %d", i, got, i+1)
		}
	}
}

// TestTimeouts: one that times out alone is answered to the moment; of those who time
// out one after the other, some wait for the next search, 20 ms and 200 ns for each
// that waits after the last.
func TestTimeouts(t *testing.T) {
	p := crowd(50, func(i int) time.Duration { return 50*ms + time.Duration(i)*ms })
	p.checkLook(t, 50*ms)
	p.all(wait(50*ms), tick)
	if got := p.tell(); !slices.Equal(got, []string{"time out 0: held"}) {
		t.Fatalf("%q after 50 ms", got)
	}
	pause := 20*ms + 49*200*time.Nanosecond
	p.checkLook(t, pause)
	p.all(wait(pause-1), tick)
	if got := p.tell(); got != nil {
		t.Fatalf("%q before the next search", got)
	}
	p.all(wait(1), tick)
	var want []string
	for i := 1; i <= 20; i++ {
		want = append(want, fmt.Sprintf("time out %d: held", i))
	}
	if got := p.tell(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	p.checkLook(t, 20*ms+29*200*time.Nanosecond)
}

// TestTimeoutsInAnyOrder: one that came last may be the first to time out, and one
// that waits for ever is never searched for.
func TestTimeoutsInAnyOrder(t *testing.T) {
	p := crowd(3, func(i int) time.Duration { return []time.Duration{0, second, 30 * ms}[i] })
	p.checkLook(t, 30*ms)
	p.all(wait(30*ms), tick)
	if got := p.tell(); !slices.Equal(got, []string{"time out 2: held"}) {
		t.Errorf("%q after 30 ms", got)
	}
	p.checkLook(t, 970*ms)
	p.all(wait(970*ms), tick)
	if got := p.tell(); !slices.Equal(got, []string{"time out 1: held"}) {
		t.Errorf("%q after 1 s", got)
	}
	if p.m.Waiters() != 1 {
		t.Errorf("%d wait, want the one that waits for ever", p.m.Waiters())
	}
}

// TestMaxWaiters: as many as that may wait, the holder apart.
func TestMaxWaiters(t *testing.T) {
	p := crowd(3, forever)
	if p.m.Waiters() != 3 {
		t.Fatalf("%d wait, want 3", p.m.Waiters())
	}
	p.do(arrive("more"))
	if got := p.tell(); !slices.Equal(got, []string{"refuse more: overloaded"}) {
		t.Errorf("%q for the fourth", got)
	}
	p.all(leave("1"), arrive("again"))
	if got := p.tell(); got != nil || p.m.Waiters() != 3 {
		t.Errorf("%q, and %d wait, once there is room", got, p.m.Waiters())
	}
}

// TestOneList: a hold is in one list at most.
func TestOneList(t *testing.T) {
	if p := newPlay().all(arrive("a")); p.tries(arrive("a")) == "" {
		t.Error("an acquire was queued twice")
	}
	var q queue
	q.name = inQueue
	defer func() {
		if recover() == nil {
			t.Error("a hold left a list that it was not in")
		}
	}()
	q.remove(new(Hold))
}
