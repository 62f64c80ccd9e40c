package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Gaps are 100 ms long, and begin each 1.1 s: at 1.1 s of a play, 2.2 s and so on.
const cycle = 1100 * ms

func about[T any](x T) *T { return &x }

func inUse(d time.Duration) backends.Info { return backends.Info{Held: true, HeldFor: about(d)} }

var (
	// hot: a has the key, and b waits, at the beginning of a gap.
	hot = start{gaps}.then(leasedBy("a")...).then(arrive("b"), wait(cycle))
	// behind: a waits for another process, at the beginning of a gap.
	behind = start{gaps}.then(arrive("a"), held(func(_ *play, c *Call) { c.Reply.Retry = 2 * second }), wait(cycle))
	// watching: a looks for the end of that hold, and has left the backend's queue.
	watching = start{inspects}.then(behind...).then(tick, answer(done))
)

var gapRows = []row{
	{
		name: "the first: gaps are counted from here", start: start{gaps}, event: arrive("a"), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "b waits, and a gap is due", start: hot, event: release("a"), words: "Release, another's turn",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "b waits for the end of the gap", start: hot.then(release("a")), event: answer(done), words: "Answered",
		want: []string{"released a"}, to: "free", look: 100 * ms,
	},
	{
		name: "the gap counts from the end of the lease", start: hot.then(release("a")), after: 30 * ms, event: answer(done), words: "Answered",
		want: []string{"released a"}, to: "free", look: 100 * ms,
	},
	{
		name: "also if that had to be given up", start: hot.then(release("a")), after: 30 * ms, event: fails(refused), words: "Answered",
		want: []string{"released a: unavailable, refused, wrong type"}, to: "free", look: 100 * ms,
	},
	{name: "the gap goes on", start: hot.then(release("a"), answer(done)), after: 100*ms - 1, event: tick, to: "free", look: 1},
	{
		name: "the gap is over", start: hot.then(release("a"), answer(done)), after: 100 * ms, event: tick, words: "Tick",
		want: []string{acquire2}, to: "asking", look: 60*second - cycle - 100*ms,
	},
	{
		name: "in a gap", start: hot.then(release("a"), answer(done), leave("b")), event: arrive("c"), to: "free", look: 100 * ms,
	},
	{
		name: "one try, in a gap", start: hot.then(release("a"), answer(done), leave("b")), event: arrive("c", once),
		want: []string{"time out c: held"}, to: "free", look: never,
	},
	{
		name: "in a gap", start: hot.then(release("a"), answer(done)), event: closeIn(second),
		want: []string{"refuse b: closed"}, to: "free", look: second,
	},
	{
		name: "it lingers until a gap is due", start: start{gaps, lingers}.then(leasedBy("a")...).then(wait(second)), event: release("a"),
		want: []string{"finish a", "released a"}, to: "leased", look: 100 * ms,
	},
	{
		name: "it doesn't linger into a gap", start: start{gaps, lingers}.then(leasedBy("a")...).then(wait(second), release("a")),
		after: 100 * ms, event: tick, words: "Tick, it has lingered",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name:  "it lingers on in a gap, where nobody excludes",
		start: start{anybody, gaps, lingers}.then(leasedBy("a")...).then(wait(second), release("a"), wait(100*ms)), event: tick,
		to: "leased", look: 900 * ms,
	},
	{
		name:  "nobody wanted it as long as a gap: that was one",
		start: start{gaps}.then(releasing...).then(answer(done), wait(cycle)), event: arrive("b"), words: "Arrive",
		want: []string{acquire2}, to: "asking", look: 60 * second,
	},
	{
		name:  "nobody wanted it just as long as a gap",
		start: start{gaps}.then(leasedBy("a")...).then(wait(second), release("a"), answer(done), wait(100*ms)), event: arrive("b"), words: "Arrive",
		want: []string{acquire2}, to: "asking", look: 60 * second,
	},
	{
		name: "nobody wanted it once, but somebody did since",
		start: start{gaps}.then(releasing...).then(answer(done), arrive("b"),
			held(func(_ *play, c *Call) { c.Reply.Retry = 2 * second }), wait(cycle)), event: tick,
		to: "asking", look: 100 * ms,
	},
	{name: "the gap goes on", start: behind.then(tick), after: 100*ms - 1, event: tick, to: "asking", look: 1},
	{
		name: "a gap is just over", start: behind.then(wait(100 * ms)), event: tick,
		to: "asking", look: 800 * ms, // until the time to ask again
	},
	{
		name: "a gap begins while another process has it: we don't ask", start: behind, event: tick,
		to: "asking", look: 100 * ms,
	},
	{
		name: "nor because of a push", start: behind, event: woken(backends.Given),
		to: "asking", look: 100 * ms,
	},
	{
		name: "a gap began long ago: it is over", start: behind.then(wait(900 * ms)), event: tick,
		want: []string{acquire1 + ", probe 1"}, to: "asking", look: 60*second - cycle - 900*ms,
	},
	{
		name: "a gap has to be watched for: we leave the queue", start: start{inspects}.then(behind...), event: tick, words: "Tick, a gap is due",
		want: []string{"ask cancel 1"}, to: "settling", look: 60*second - cycle,
	},
	{
		name: "and look", start: start{inspects}.then(behind...).then(tick), event: answer(done), words: "Answered",
		want: []string{"ask look"}, to: "free", look: 60*second - cycle,
	},
	{name: "held as before", start: watching, event: sees(inUse(3 * second)), to: "free", look: 25 * ms},
	{
		name: "look again", start: watching.then(sees(inUse(3 * second))), after: 25 * ms, event: tick,
		want: []string{"ask look"}, to: "free", look: 60*second - cycle - 25*ms,
	},
	{
		name: "free: the gap begins", start: watching, event: sees(backends.Info{}), to: "free", look: 100 * ms,
	},
	{
		name: "the gap that was watched for goes on when the next begins", start: watching.then(wait(cycle-50*ms), sees(backends.Info{})),
		after: 50 * ms, event: tick, to: "free", look: 50 * ms,
	},
	{
		name: "… and while that goes on", start: watching.then(wait(cycle-50*ms), sees(backends.Info{})),
		after: 70 * ms, event: tick, to: "free", look: 30 * ms,
	},
	{
		name: "a poller is in", start: watching, event: sees(backends.Info{Held: true, Foreign: true}), words: "Answered, the gap was used",
		want: []string{acquire2}, to: "asking", look: 60*second - cycle,
	},
	{
		name: "no answer to a look", start: watching, event: fails(silent, func(_ *play, c *Call) { c.Info = new(backends.Info) }),
		words: "Answered, the gap was used",
		want:  []string{acquire2}, to: "asking", look: 60*second - cycle,
	},
	{
		name: "held by somebody who makes no gaps", start: watching.then(wait(150 * ms)), event: sees(inUse(50*ms - 1)),
		words: "Answered, the gap was used",
		want:  []string{acquire2}, to: "asking", look: 60*second - cycle - 150*ms,
	},
	{
		name: "held since about when the gap began", start: watching.then(wait(150 * ms)), event: sees(inUse(50 * ms)), to: "free", look: 25 * ms,
	},
	{
		name: "held, nobody knows since when", start: watching.then(wait(500 * ms)), event: sees(backends.Info{Held: true}), to: "free", look: 25 * ms,
	},
	{
		name: "held for half a cycle, nobody knows since when", start: watching.then(wait(500*ms + 1)), event: sees(backends.Info{Held: true}),
		words: "Answered, the gap was used",
		want:  []string{acquire2}, to: "asking", look: 60*second - cycle - 500*ms - 1,
	},
	{
		name: "watched until the next one is due", start: watching.then(sees(inUse(3 * second))), after: cycle, event: tick, words: "Tick",
		want: []string{acquire2}, to: "asking", look: 60*second - 2*cycle,
	},
	{
		name: "nobody wants it any more", start: watching.then(sees(inUse(3 * second))), event: leave("a"), to: "free", look: never,
	},
}
