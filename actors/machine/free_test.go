package machine

import "github.com/turnstile-go/turnstile/backends"

var (
	// afterPanic is the pause after a panic, which may come again at once.
	afterPanic = 500 * ms
	// stalled: b waits for its end.
	stalled = start{panics(tick), arrive("b")}
	// forgotten: the first call was forgotten by a panic, and its attempt is cancelled.
	forgotten = askingFor("a").then(panics(tick), wait(afterPanic), tick, answer(done))

	// refusedAndLeft: a's attempt failed and left nothing, and a has given up.
	refusedAndLeft = unsettled.then(leave("a"))

	ttl10 = leaseOf(10 * second) // of a hold of 10 s
)

var freeRows = []row{
	{
		name: "first", start: nothing, event: arrive("a"), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "first, by its own name", start: nothing, event: arrive("a", as("team")), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String() + " as team"}, to: "asking", look: 60 * second,
	},
	{
		name: "first, with room to linger", start: start{lingers}, event: arrive("a"), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttlOf(11500*ms).String()}, to: "asking", look: 60 * second,
	},
	{
		name: "first, waits for ever", start: nothing, event: arrive("a", waiting(0)), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String()}, to: "asking", look: Instant(1<<63 - 1).Sub(began),
	},
	{
		name: "one try", start: nothing, event: arrive("a", once), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String() + ", one try"}, to: "asking", look: 2 * second,
	},
	{
		name: "short hold, whose slack is its own length", start: nothing, event: arrive("a", lasting(200*ms)), words: "Arrive",
		want: []string{"ask acquire 1 for " + leaseOf(200*ms).String()}, to: "asking", look: 60 * second,
	},
	{
		name: "the client's attempts are used up", start: start{usedUp}, event: arrive("a"),
		want: []string{"refuse a: unavailable, used up"}, to: "free", look: 60 * second, // when a would have timed out
	},
	{
		name: "closing", start: start{closeIn(2 * second)}, event: arrive("a"),
		want: []string{"refuse a: closed"}, to: "free", look: 2 * second,
	},
	{
		name: "a pause after a panic", start: start{panics(tick)}, event: arrive("a"),
		to: "free", look: afterPanic,
	},
	{
		name: "one try, in a pause", start: start{panics(tick)}, event: arrive("a", once),
		want: []string{"time out a: held"}, to: "free", look: never,
	},
	{
		name: "too many wait", start: stalled.then(set(func(c *Config) { c.MaxWaiters = 1 })), event: arrive("c"),
		want: []string{"refuse c: overloaded"}, to: "free", look: afterPanic,
	},
	{name: "a pause goes on that an attempt began", start: refusedAndLeft, event: arrive("b"), to: "free", look: firstPauseAtHalf},
	{
		name: "one try, in a pause after failures", start: refusedAndLeft, event: arrive("b", once), words: "Arrive",
		want: []string{"ask acquire 2 for " + ttl10.String() + ", one try"}, to: "asking", look: 2 * second,
	},
	{name: "it was answered before", start: nothing, event: leave("a"), to: "free", look: never},
	{name: "the last that waits", start: stalled, event: leave("b"), to: "free", look: never},
	{name: "no offer is open", start: nothing, event: taken, wrong: true},
	{name: "no offer is open", start: nothing, event: withdrawn, wrong: true},
	{
		name: "it had ended before", start: releasing.then(answer(done)), event: release("a"),
		want: []string{"released a: not held"}, to: "free", look: never,
	},
	{
		name: "it had ended before", start: releasing.then(answer(done)), event: extend("a", second),
		want: []string{"extended a: not held"}, to: "free", look: never,
	},
	{
		name: "there is no lease", start: nothing, event: disown(0),
		want: []string{"disowned nothing"}, to: "free", look: never,
	},
	{
		name: "a call that a panic forgot", start: forgotten, event: late,
		want: []string{"undo acquire 1"}, to: "free", look: never,
	},
	{name: "nobody wants it", start: nothing, event: woken(backends.Given), to: "free", look: never},
	{name: "nobody has it", start: nothing, event: woken(backends.Wanted), to: "free", look: never},
	{name: "nobody has it", start: nothing, event: woken(backends.Doubted), to: "free", look: never},
	{name: "nobody has it", start: nothing, event: woken(backends.Revoking), to: "free", look: never},
	{
		name: "a pause after a panic is not one of the backend's", start: stalled, event: woken(backends.Answering),
		to: "free", look: afterPanic,
	},
	{name: "nothing to do", start: nothing, event: tick, to: "free", look: never},
	{name: "a pause goes on", start: stalled, after: afterPanic - 1, event: tick, to: "free", look: 1},
	{
		name: "a pause is over", start: stalled, after: afterPanic, event: tick, words: "Tick",
		want: []string{"ask acquire 1 for " + ttl10.String()}, to: "asking", look: 60*second - afterPanic,
	},
	{
		name:  "time is over in a pause",
		start: start{panics(tick), arrive("b", waiting(100*ms))}, after: 100 * ms, event: tick,
		want: []string{"time out b: held"}, to: "free", look: never,
	},
	{name: "nothing is left", start: nothing, event: closeIn(second), to: "free", look: second},
	{
		name: "in a pause", start: stalled, event: closeIn(second),
		want: []string{"refuse b: closed"}, to: "free", look: second,
	},
}
