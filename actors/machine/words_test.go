package machine

import (
	"strings"
	"testing"
)

// TestWords: errors name the key, and what did not happen to it.
func TestWords(t *testing.T) {
	for _, test := range []struct {
		start start
		want  string
	}{
		{renewing.then(extend("a", 20*second), wait(2*second), tick), `"key" was not extended`},
		{renewing.then(check("a"), wait(2*second), tick), `"key" could not be checked`},
		{releasing.then(wait(2*second), tick), `release of "key" goes on in the background`},
		{leasedBy("a").then(disown(0), wait(2*second), tick), `release of "key" goes on in the background`},
		{leasedBy("a", renewed, upTo(second)).then(extend("a", 2*second)), "extend by 2s goes beyond the hold's MaxHold"},
		{start{set(func(c *Config) { c.MaxWaiters = 0 }), arrive("a")}, `key "key" has 0`},
		{start{usedUp, arrive("a")}, "this client's attempts are used up"},
		{keeping.then(wait(10*second-keepAt), tick), "no renewal got through"},
	} {
		p := newPlay().all(test.start...)
		if len(p.did) == 0 || p.did[0].Err == nil {
			t.Errorf("%q: no error, want %q", p.tell(), test.want)
		} else if got := p.did[0].Err.Error(); !strings.Contains(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestPanicHalfWay: what a step had done before it panicked is carried out, and the
// rest is what follows from a panic.
func TestPanicHalfWay(t *testing.T) {
	p := newPlay().all(releasing...).all(arrive("b"), set(func(c *Config) { c.NextAttempt = func() uint64 { panic("no number") } }))
	e := answer(done)(p)
	if p.tries(func(*play) Event { return e }) == "" {
		t.Fatal("the step did not panic")
	}
	p.step(Panicked{Event: e, Err: errOops})
	if got := p.tell(); len(got) != 2 || got[0] != "released a" || got[1] != "refuse b: oops" {
		t.Errorf("%q, want the release of a answered, and b refused", got)
	}
	if p.phase() != "free" || !p.m.Idle() {
		t.Errorf("%s, want free", p.phase())
	}
	p.all(tick)
	if p.tell() != nil {
		t.Errorf("%q once more", p.tell())
	}
}

// TestOneCallIsInFlight: one call is in flight, until it is answered or forgotten.
func TestOneCallIsInFlight(t *testing.T) {
	p := newPlay().all(arrive("a"))
	c := p.asked()
	if p.m.call != c || p.m.Closing() {
		t.Error("the call is in flight, and nothing closes")
	}
	if p.all(held(), closeIn(second)); p.m.call == c || p.m.call != p.asked() || !p.m.Closing() {
		t.Error("the call was answered, a cancel is in flight, and it closes")
	}
}
