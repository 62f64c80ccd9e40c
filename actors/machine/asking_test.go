package machine

import "github.com/turnstile-go/turnstile/backends"

// firstPauseAtHalf is the pause after a first failure: 5 ms, the upper half by chance.
const firstPauseAtHalf = 5 * ms / 2

var (
	acquire1 = "ask acquire 1 for " + ttl10.String()
	acquire2 = "ask acquire 2 for " + ttl10.String()

	// unsettled: the attempt has left nothing behind, and the next is yet to begin.
	unsettled = start{arrive("a"), fails(settled)}
)

var askingRows = []row{
	{name: "a call is under way", start: askingFor("a"), event: arrive("b"), to: "asking", look: 60 * second},
	{name: "somebody else has it", start: queuedAt("a"), event: arrive("b"), to: "asking", look: 300 * ms},
	{
		name: "one try joins the call under way", start: askingFor("a"), event: arrive("b", once),
		to: "asking", look: 2 * second,
	},
	{
		name: "one try doesn't wait behind others", start: queuedAt("a"), event: arrive("b", once),
		want: []string{"time out b: held"}, to: "asking", look: 300 * ms,
	},
	{
		name: "one try has a right to a call", start: failing("a"), event: arrive("b", once),
		want: []string{acquire1 + ", ambiguous"}, to: "asking", look: 2 * second,
	},
	{
		name: "one try, when another's was refused", start: queuedAt("a").then(wait(300*ms), tick, fails(silent)),
		event: arrive("b", once),
		want:  []string{acquire1 + ", probe 1, ambiguous"}, to: "asking", look: 2 * second,
	},
	{
		name: "too many wait", start: askingFor("a").then(set(func(c *Config) { c.MaxWaiters = 1 })), event: arrive("b"),
		want: []string{"refuse b: overloaded"}, to: "asking", look: 60 * second,
	},
	{
		name: "closing", start: askingFor("a").then(closeIn(second)), event: arrive("b"),
		want: []string{"refuse b: closed"}, to: "asking", look: second,
	},
	{
		name: "the last, queued", start: queuedAt("a"), event: leave("a"), words: "Leave, by the last",
		want: []string{"ask cancel 1"}, to: "settling", look: never,
	},
	{
		name: "the last, of an attempt that left nothing", start: unsettled, event: leave("a"),
		words: "Leave, nothing is left", to: "free", look: never,
	},
	{name: "a call is under way", start: askingFor("a"), event: leave("a"), to: "asking", look: never},
	{name: "others wait", start: queuedAt("a").then(arrive("b")), event: leave("a"), to: "asking", look: 300 * ms},
	{name: "no offer is open", start: askingFor("a"), event: taken, wrong: true},
	{name: "no offer is open", start: askingFor("a"), event: withdrawn, wrong: true},
	{
		name: "of no hold", start: askingFor("a"), event: release("a"),
		want: []string{"released a: not held"}, to: "asking", look: 60 * second,
	},
	{
		name: "of no hold", start: askingFor("a"), event: extend("a", second),
		want: []string{"extended a: not held"}, to: "asking", look: 60 * second,
	},
	{
		name: "there is no lease", start: askingFor("a"), event: disown(0),
		want: []string{"disowned nothing"}, to: "asking", look: 60 * second,
	},
	{
		name: "now", start: queuedAt("a"), event: woken(backends.Given),
		want: []string{acquire1 + ", probe 1"}, to: "asking", look: 60 * second,
	},
	{name: "a call is under way", start: askingFor("a"), event: woken(backends.Given), to: "asking", look: 60 * second},
	{name: "a call is under way", start: askingFor("a"), event: woken(backends.Wanted), to: "asking", look: 60 * second},
	{name: "queued", start: queuedAt("a"), event: woken(backends.Doubted), to: "asking", look: 300 * ms},
	{name: "queued", start: queuedAt("a"), event: woken(backends.Revoking), to: "asking", look: 300 * ms},
	{
		name: "ends a pause", start: failing("a"), event: woken(backends.Answering),
		want: []string{acquire1 + ", ambiguous"}, to: "asking", look: 60 * second,
	},
	{
		name: "held is no failure", start: queuedAt("a"), event: woken(backends.Answering),
		to: "asking", look: 300 * ms,
	},
	{name: "not yet", start: queuedAt("a"), after: 300*ms - 1, event: tick, to: "asking", look: 1},
	{
		name: "again", start: queuedAt("a"), after: 300 * ms, event: tick,
		want: []string{acquire1 + ", probe 1"}, to: "asking", look: 60*second - 300*ms,
	},
	{
		name: "again, for a longer hold at the head", start: queuedAt("a").then(arrive("b", lasting(20*second)), leave("a")),
		after: 300 * ms, event: tick,
		want: []string{"ask acquire 1 for " + leaseOf(20*second).String() + ", probe 1"}, to: "asking", look: 60*second - 300*ms,
	},
	{
		name: "a pause is over", start: failing("a"), after: firstPauseAtHalf, event: tick,
		want: []string{acquire1 + ", ambiguous"}, to: "asking", look: 60*second - firstPauseAtHalf,
	},
	{
		name: "a new attempt", start: unsettled, after: firstPauseAtHalf, event: tick,
		want: []string{acquire2}, to: "asking", look: 60*second - firstPauseAtHalf,
	},
	{
		name: "no new attempt", start: unsettled.then(usedUp), after: firstPauseAtHalf, event: tick,
		words: "Tick, nothing is left",
		want:  []string{"refuse a: unavailable, used up"}, to: "free", look: 60*second - firstPauseAtHalf, // when a would have timed out
	},
	{
		name: "the last one's time is over", start: queuedAt("a", waiting(100*ms)), after: 100 * ms, event: tick,
		words: "Tick, the last times out",
		want:  []string{"time out a: held", "ask cancel 1"}, to: "settling", look: never,
	},
	{
		name: "time is over without an answer", start: askingFor("a"), after: 60 * second, event: tick,
		want: []string{"time out a: silent"}, to: "asking", look: never,
	},
	{
		name: "time is over after failures", start: failing("a", waiting(2*ms)), after: 2 * ms, event: tick,
		words: "Tick, the last times out",
		want:  []string{"time out a: silent: unavailable, cut", "ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "nothing is left", start: start{arrive("a", waiting(2*ms)), fails(settled)}, after: 2 * ms, event: tick,
		words: "Tick, nothing is left",
		want:  []string{"time out a: silent: unavailable, settled"}, to: "free", look: never,
	},
}
