package machine

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestLengths holds the lease that is asked for against what is used of it.
func TestLengths(t *testing.T) {
	for _, need := range []time.Duration{
		10 * ms, 20 * ms, 450 * ms, 495 * ms, 500 * ms, 501 * ms, second, 10500 * ms, 10500*ms + 1, 24 * time.Hour,
	} {
		ttl := ttlFor(need)
		switch {
		case ttl != ttlOf(need):
			t.Errorf("a lease of %v for %v, want %v", ttl, need, ttlOf(need))
		case ttl%ms != 0:
			t.Errorf("a lease of %v: not in whole ms", ttl)
		case ttl-marginOf(ttl) < need:
			t.Errorf("a lease of %v less %v is shorter than %v", ttl, marginOf(ttl), need)
		}
	}
	for ttl, want := range map[time.Duration]time.Duration{
		100 * ms:    10 * ms,      // a tenth
		555 * ms:    55500 * 1000, // the same by both rules: 5.55 ms and 50 ms
		second:      60 * ms,      // 1 % and 50 ms
		10 * second: 150 * ms,
	} {
		if got := marginOf(ttl); (got - want).Abs() > 60*time.Microsecond {
			t.Errorf("a margin of %v for %v, want %v", got, ttl, want)
		}
	}
}

// TestDeadline: a lease's deadline counts from before its request was sent, and the
// backend's end from when its answer came.
func TestDeadline(t *testing.T) {
	p := newPlay().all(arrive("a"), wait(5*ms), granted(sentAfter(2*ms), func(_ *play, c *Call) { c.Reply.TTL = 20 * second }))
	if got, want := p.m.leased.deadline.Sub(began), 2*ms+20*second-250*ms; got != want {
		t.Errorf("deadline after %v, want %v", got, want)
	}
	if got, want := p.m.leased.ends.Sub(began), 5*ms+20*second; got != want {
		t.Errorf("the backend's end after %v, want %v", got, want)
	}
}

// TestAmbiguousRenewal: a renewal that may have run moves no deadline to a later
// time, may have moved it to an earlier one, and may have made the backend's later.
func TestAmbiguousRenewal(t *testing.T) {
	p := newPlay().all(leasedBy("a")...).all(extend("a", 20*second), fails(silent))
	if got, want := p.m.leased.deadline.Sub(began), soundOf(ttl10); got != want {
		t.Errorf("deadline after %v, want %v", got, want)
	}
	if got, want := p.m.leased.ends.Sub(began), ttlOf(20500*ms); got != want {
		t.Errorf("the backend's end after %v, want %v", got, want)
	}
	p = newPlay().all(lingers).all(leasedBy("b", lasting(60*second))...).all(
		release("b"), arrive("a"), taken, wait(second), tick, fails(silent))
	asked := ttlOf(9*second + 1500*ms)
	if got, want := p.m.leased.deadline.Sub(began), second+soundOf(asked); got != want {
		t.Errorf("a lease that was to shrink: deadline after %v, want %v", got, want)
	}
	if got, want := p.m.leased.ends.Sub(began), ttlOf(61500*ms); got != want {
		t.Errorf("a lease that was to shrink: the backend's end after %v, want %v", got, want)
	}
}

// TestPauses: they double from 5 ms to 500 ms, the upper half by chance.
func TestPauses(t *testing.T) {
	almost := 0.999
	for _, x := range []float64{0, 0.5, almost} {
		p := newPlay().all(arrive("a", waiting(time.Hour)))
		pause := 5 * ms
		for failure := 1; failure <= 12; failure++ {
			p.do(fails(silent, chance(x)))
			want := pause/2 + time.Duration(float64(pause/2)*x)
			if got := p.look.Sub(p.now); (got - want).Abs() > time.Microsecond {
				t.Errorf("failure %d, chance %v: a pause of %v, want %v", failure, x, got, want)
			}
			p.all(wait(p.look.Sub(p.now)), tick)
			pause = min(2*pause, 500*ms)
		}
	}
}

// TestPausesOfRenewals: they are no longer than a tenth of the lease that was asked for.
func TestPausesOfRenewals(t *testing.T) {
	for expires, want := range map[time.Duration]time.Duration{
		10 * second: 160 * ms, // half of 320 ms
		second:      leaseOf(second) / 10,
	} {
		p := newPlay().all(leasedBy("a", renewed, lasting(expires))...).all(wait(firstRenewal(expires)+1), tick)
		for range 6 {
			p.do(fails(silent))
			p.all(wait(p.look.Sub(p.now)), tick)
		}
		p.do(fails(silent))
		if got := p.look.Sub(p.now); got != want {
			t.Errorf("a pause of %v after 7 failures in a lease of %v, want %v", got, p.asked().TTL, want)
		}
	}
}

// TestPace: a renewal comes before a third of the lease, each by chance a little
// earlier: the first by up to half of that, later ones by up to a quarter.
func TestPace(t *testing.T) {
	for _, x := range []float64{0, 0.5, 0.999} {
		p := newPlay().all(arrive("a"), granted(chance(x)), taken)
		third := float64(ttl10 / 3)
		p.checkLook(t, time.Duration(third*(0.5+0.5*x)))
		p.all(wait(p.look.Sub(p.now)), tick)
		third = float64(p.asked().TTL / 3)
		p.do(granted(chance(x)))
		p.checkLook(t, time.Duration(third*(0.75+0.25*x)))
	}
}

func (p *play) checkLook(t *testing.T, want time.Duration) {
	t.Helper()
	if got := p.look.Sub(p.now); (got - want).Abs() > time.Microsecond {
		t.Errorf("looks after %v, want %v", got, want)
	}
}

// swap has the key handed on from one of a and b to the other, who then waits again.
func (p *play) swap(from, to string) {
	p.all(release(from), taken)
	delete(p.holds, from)
	p.do(arrive(from))
}

// TestFences: n counts the holds under a base from 0 to 1023, after half of which the
// next base is asked for; with none to be had, nobody gets the key any more.
func TestFences(t *testing.T) {
	p := newPlay().all(leasedBy("a")...).all(arrive("b"))
	names := [2]string{"a", "b"}
	for n := 1; n <= MaxN; n++ {
		p.swap(names[(n-1)%2], names[n%2])
		if got, want := p.hold(names[n%2]).Fence, uint64(101<<10+n); got != want {
			t.Fatalf("fence %d, want %d", got, want)
		}
		if asks, want := len(p.calls) > 1, n >= MaxN/2; asks != want {
			t.Fatalf("asks for the next base at %d", n)
		}
	}
	p.do(release(names[MaxN%2]))
	if got := p.tell(); len(got) != 1 || got[0] != "finish "+names[MaxN%2] {
		t.Fatalf("%q, want but the end of the last hold of a base", got)
	}
	p.do(granted())
	if got, want := p.tell(), "offer "+names[0]+" 102.0 for 10s, handed on"; len(got) != 1 || got[0] != want {
		t.Fatalf("%q, want %q", got, want)
	}
}

// TestHandoffsAreCounted (L4): while another process waits, 1023 handoffs use up the
// budget, however fast they are. Those from before don't count, nor does the first hold.
func TestHandoffsAreCounted(t *testing.T) {
	for name, p := range map[string]*play{
		"from the push on":  newPlay().all(leasedBy("a")...).all(arrive("b"), release("a"), taken, woken(backends.Wanted)),
		"from the grant on": newPlay().all(arrive("b"), granted(contended), taken),
	} {
		names := [2]string{"b", "a"}
		delete(p.holds, "a")
		p.do(arrive("a"))
		for n := 1; n <= MaxN; n++ {
			p.swap(names[(n-1)%2], names[n%2])
			if p.asked().Verb == Renewing && p.m.call != nil {
				p.do(granted(contended))
			}
			if p.phase() != "leased" || p.m.holders.len != 1 {
				t.Fatalf("%s: the lease went back after %d handoffs", name, n)
			}
		}
		p.do(release(names[MaxN%2]))
		if got := p.phase(); got != "settling" {
			t.Errorf("%s: %s after %d handoffs, want settling", name, got, MaxN)
		}
	}
}

// TestNobodyWaitsAnyMore: a renewal that says so ends the budget of handoffs.
func TestNobodyWaitsAnyMore(t *testing.T) {
	p := newPlay().all(contendedBy...).all(wait(ms), check("a"), granted(), wait(20*ms), release("a"))
	if got := p.tell(); len(got) != 2 || got[1] != "offer b 102.0 for 10s, handed on" {
		t.Errorf("%q, want an offer", got)
	}
}
