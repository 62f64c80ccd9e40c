package machine

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

var (
	// minute: a has the key for 10 s, and it is nobody else's for a minute.
	minute = leasedBy("a", resting(60*second))
	// ttl60 is its lease.
	ttl60 = ttlOf(60500 * ms)
	// restful: a has released it after a second, and the backend has answered.
	restful = minute.then(wait(second), release("a"), answer(done))
)

// restRows are of keys that rest: others wait after a hold for what is left of its AtLeast.
var restRows = []row{
	{
		name: "its lease lasts as long", start: nothing, event: arrive("a", resting(60*second)), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl60.String() + ", to rest 1m0.5s"}, to: "asking", look: 60 * second,
	},
	{
		name: "the hold is the longer of the two", start: nothing, event: arrive("a", resting(second)), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String() + ", to rest 1.5s"}, to: "asking", look: 60 * second,
	},
	{
		name: "the lease came too short for the rest", start: start{arrive("b"), arrive("a", resting(60*second)), leave("b")}, event: granted(), words: "Answered, granted",
		want: []string{renew1(60500*ms) + ", to rest 1m0.5s"}, to: "leased", look: 60 * second,
	},
	{
		name: "released: the rest begins", start: minute, after: second, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, to rest 59.01s"}, to: "settling", look: 2 * second,
	},
	{
		name: "… though somebody waits", start: minute.then(arrive("b")), after: second, event: release("a"), words: "Release, another's turn",
		want: []string{"finish a", "ask release 1, to rest 59.01s"}, to: "settling", look: 2 * second,
	},
	{
		name: "… though the lease would linger", start: start{lingers}.then(minute...), after: second, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, to rest 59.01s"}, to: "settling", look: 2 * second,
	},
	{
		name: "… less, where it is tried again", start: minute.then(wait(second), release("a"), fails(silent), wait(firstPauseAtHalf)), event: tick,
		want: []string{"ask release 1, to rest " + (59010*ms - firstPauseAtHalf*99/100).String() + ", ambiguous"}, to: "settling", look: 2*second - firstPauseAtHalf,
	},
	{
		name: "nobody had the hold", start: minute, after: second, event: discard("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "nobody had the hold, and nothing rests", start: minute.then(discard("a"), answer(done)), event: arrive("b"), words: "Arrive",
		want: []string{"ask acquire 2 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "it was withdrawn", start: offeredTo("a", resting(60*second)), event: withdrawn, words: "Withdrawn, nobody waits",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the hold is over before", start: minute, after: 10 * second, event: tick, words: "Tick, the hold is over",
		want: []string{"end a: expired", "ask release 1, to rest 50.1s"}, to: "settling", look: never,
	},
	{
		name: "released after the rest", start: leasedBy("a", resting(second)), after: 2 * second, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "a renewal leaves the lease as long", start: leasedBy("a", renewed, resting(60*second)), after: firstRenewal(10 * second), event: tick,
		want: []string{renew1(61100*ms - firstRenewal(10*second))}, to: "leased", look: 10*second - firstRenewal(10*second) - proofEnds,
	},
	{
		name: "a shorter hold waits", start: minute.then(wait(second)), event: arrive("b"), to: "leased", look: 9 * second,
	},
	{
		name: "revoked: it goes back to all", start: minute.then(wait(firstRenewal(ttl60)-2*second), check("a"), fails(backends.ErrRevoked)), event: release("a"),
		words: "Release, nobody waits", want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "handed on to one that rests, if the lease is long enough", start: leasedBy("a", lasting(120*second)).then(arrive("b", resting(60*second)), granted()),
		event: release("a"), want: []string{"finish a", "offer b 102.0 for 10s, handed on"}, to: "leased",
	},
	{
		name: "not handed on before the backend keeps the key for it", start: leasedBy("a", lasting(120*second)).then(arrive("b", resting(60*second))),
		event: release("a"), want: []string{"finish a"}, to: "leased", look: 2 * second,
	},
	{
		name: "the backend keeps the key for one that waits, though the lease is long enough", start: leasedBy("a", lasting(120*second)), event: arrive("b", resting(60*second)),
		want: []string{renew1(120500*ms) + ", to rest 1m0.5s"}, to: "leased", look: 60 * second,
	},
	{
		name: "a longer lease for one that rests is asked for ahead of time", start: leasedBy("a"), event: arrive("b", resting(60*second)),
		want: []string{renew1(60500*ms) + ", to rest 1m0.5s"}, to: "leased", look: 10 * second,
	},
	{
		name: "a set is there: its rest begins", start: leasedBy("a", renewed, resting(10*second)).then(wait(second)),
		event: restart("a", 10*second, resting(60*second)), want: []string{renew1(60500*ms) + ", to rest 1m0.5s"}, to: "leased", look: 2 * second,
	},
	{
		name: "the set's rest has begun", start: leasedBy("a", renewed, resting(60*second)).then(wait(second), restart("a", 10*second, resting(60*second)), granted()),
		after: second, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, to rest 59.01s"}, to: "settling", look: 2 * second,
	},
	{name: "somebody comes", start: restful, event: arrive("b"), to: "free", look: 59600 * ms},
	{name: "one try", start: restful, event: arrive("b", once), want: []string{"time out b: held"}, to: "free", look: 59600 * ms},
	{
		name: "it was ended by force", start: restful.then(arrive("b", waiting(time.Hour))), event: woken(backends.Revoking), words: "Woken, the rest was ended",
		want: []string{"ask acquire 2 for " + ttl10.String()}, to: "asking", look: time.Hour,
	},
	{name: "nobody comes", start: restful, after: second, event: tick, to: "free", look: 58600 * ms},
	{name: "it is over", start: restful, after: 59600 * ms, event: tick, to: "free", look: never},
	{
		name: "it is over, and somebody waits", start: restful.then(arrive("b", waiting(time.Hour))), after: 59600 * ms, event: tick, words: "Tick",
		want: []string{"ask acquire 2 for " + ttl10.String()}, to: "asking", look: time.Hour - 59600*ms,
	},
	{
		name: "somebody has waited since before the release", start: minute.then(arrive("b", waiting(0)), wait(second), release("a")), event: answer(done),
		words: "Answered", want: []string{"released a"}, to: "free", look: 59600 * ms,
	},
}

// TestRest: the backend's part is never too short, and ours never shorter than the
// backend's, whichever clock is fast.
func TestRest(t *testing.T) {
	for _, since := range []time.Duration{0, ms, second, 30 * second, 59 * second, 60 * second, 61 * second} {
		r := rest{from: began, least: 60 * second}
		for _, ours := range []float64{0.99, 1, 1.01} { // of our clock's seconds to the backend's
			now := began.Add(time.Duration(float64(since) * ours))
			if end := since + r.left(now); end < 60*second {
				t.Errorf("after %v, by a clock of %v: the key is free after %v", since, ours, end)
			}
		}
	}
	if over := (rest{began, 60 * second}).over().Sub(began); over != 60600*ms {
		t.Errorf("over after %v", over)
	}
}

// TestRestKeepsTheMachine: a key that rests is remembered, until the rest is over or all
// is closed.
func TestRestKeepsTheMachine(t *testing.T) {
	p := newPlay().all(restful...)
	if p.m.Idle() {
		t.Error("it may be forgotten while it rests")
	}
	closing := newPlay().all(restful.then(closeIn(second))...)
	if !closing.m.Idle() {
		t.Error("Close waits for a rest")
	}
	p.all(wait(59600*ms), tick)
	if !p.m.Idle() {
		t.Error("it is not forgotten after its rest")
	}
}
