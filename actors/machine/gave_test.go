package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// gave: the lease was given for a second to the newest call that was queued, unless with says otherwise.
func gave(with ...func(*Gave)) deed {
	return func(p *play) Event {
		g := Gave{Attempt: p.attempts, Ask: 1000 + p.asks, TTL: second}
		for _, f := range with {
			f(&g)
		}
		if g.Base == 0 {
			p.base++
			g.Base = p.base
		}
		return g
	}
}

func forAttempt(n uint64) func(*Gave)      { return func(g *Gave) { g.Attempt = n } }
func forAsk(n uint64) func(*Gave)          { return func(g *Gave) { g.Ask = n } }
func overBase(n uint64) func(*Gave)        { return func(g *Gave) { g.Base = n } }
func givenFor(d time.Duration) func(*Gave) { return func(g *Gave) { g.TTL = d } }
func othersWait(g *Gave)                   { g.Contended = true }

// shown: the caller shows the hold's deadline to others.
func shown(s *Spec) { s.Confirmed = true }

// soundFor is how long a lease of a second is used: less 1 % and 50 ms.
const soundFor = 940 * ms

var (
	// asked1 is the call that a push brings about which is no grant.
	asked1 = []string{acquire1 + ", probe 1"}
	// inGapNow: a waits for a process that has the key, in a gap of 100 ms whose end nobody can look for. It has
	// asked 500 ms before.
	inGapNow = gapDueNow.then(tick)
	// gapDueNow: the same, just before.
	gapDueNow = start{gaps}.then(arrive("a"), seldom, wait(cycle-500*ms), woken(backends.Given), seldom, wait(500*ms))
	seldom    = held(func(_ *play, c *Call) { c.Reply.Retry = 2 * second })
)

// gaveRows are those of a push that says that the key's lease was given to us.
var gaveRows = []row{
	{
		name: "to the newest call", start: queuedAt("a"), after: 100 * ms, event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for " + (soundFor - 100*ms).String()}, to: "leased",
	},
	{
		name: "it counts from when that call was sent", start: askingFor("a").then(wait(50*ms), held(sentAfter(20*ms))), after: 100 * ms,
		event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for " + (soundFor - 130*ms).String()}, to: "leased",
	},
	{
		name: "that call was not answered", start: failing("a"), after: ms, event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for " + (soundFor - ms).String()}, to: "leased",
	},
	{
		name: "for longer than the hold needs", start: queuedAt("a", lasting(200*ms)), after: 100 * ms, event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for 200ms"}, to: "leased",
	},
	{
		name: "for longer than its MaxHold", start: queuedAt("a", renewed, upTo(300*ms)), after: 100 * ms, event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for 300ms"}, to: "leased",
	},
	{
		name: "for longer than was asked for: nobody believes that", start: queuedAt("a"), after: 100 * ms, event: gave(givenFor(5 * second)),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - 100*ms).String()}, to: "leased",
	},
	{
		name: "for less than was asked for", start: queuedAt("a"), after: 100 * ms, event: gave(givenFor(500 * ms)), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for 350ms"}, to: "leased",
	},
	{
		name: "for no time", start: queuedAt("a"), event: gave(givenFor(0)), want: asked1, to: "asking", look: 60 * second,
	},
	{
		name: "a quarter of it is left", start: queuedAt("a"), after: soundFor - 250*ms, event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for 250ms"}, to: "leased",
	},
	{
		name: "less than a quarter is left", start: queuedAt("a"), after: soundFor - 250*ms + 1, event: gave(),
		want: asked1, to: "asking", look: 60*second - soundFor + 250*ms - 1,
	},
	{
		name: "it is over", start: queuedAt("a"), after: 2 * second, event: gave(), want: asked1, to: "asking", look: 58 * second,
	},
	{
		name: "another attempt", start: queuedAt("a"), event: gave(forAttempt(2)), want: asked1, to: "asking", look: 60 * second,
	},
	{
		name: "the attempt before", start: cancelling.then(answer(done), arrive("b"), held()), event: gave(forAttempt(1), forAsk(1001)),
		want: []string{acquire2 + ", probe 1"}, to: "asking", look: 60 * second,
	},
	{
		name: "an earlier call", start: queuedAt("a").then(wait(300*ms), tick, held()), event: gave(forAsk(1001)),
		want: []string{acquire1 + ", probe 2"}, to: "asking", look: 60*second - 300*ms,
	},
	{
		name: "nobody's call", start: queuedAt("a"), event: gave(forAsk(7)), want: asked1, to: "asking", look: 60 * second,
	},
	{
		name: "no call: the newest was one try", start: askingFor("a", once).then(arrive("b"), fails(silent)), event: gave(forAsk(0)),
		want: []string{acquire1 + ", ambiguous"}, to: "asking", look: 2 * second, // when a would have timed out
	},
	{
		name:  "a call before the newest, which was one try",
		start: queuedAt("a").then(wait(300*ms), tick, leave("a"), wait(ms), arrive("b", once), fails(silent, notRun), arrive("c"), fails(silent)),
		event: gave(forAsk(1002)),
		want:  []string{acquire1 + ", probe 1, ambiguous"}, to: "asking", look: 2 * second, // when b would have timed out
	},
	{
		name: "a call of an attempt that left nothing behind", start: unsettled, event: gave(forAttempt(0)),
		want: []string{acquire2}, to: "asking", look: 60 * second,
	},
	{
		name: "no call, of an attempt that left nothing behind", start: unsettled, event: gave(forAttempt(0), forAsk(0)),
		want: []string{acquire2}, to: "asking", look: 60 * second,
	},
	{name: "a call is under way", start: queuedAt("a").then(wait(300*ms), tick), event: gave(), to: "asking", look: 60*second - 300*ms},
	{name: "nobody waits any more", start: askingFor("a").then(leave("a")), event: gave(), to: "asking", look: never},
	{
		name: "the first in line shows its deadline", start: queuedAt("a", shown), event: gave(), want: asked1, to: "asking", look: 60 * second,
	},
	{
		name: "the second shows its deadline", start: queuedAt("a").then(arrive("b", shown)), after: 100 * ms, event: gave(),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - 100*ms).String()}, to: "leased",
	},
	{
		name: "a doubt came after that call", start: queuedAt("a").then(wait(ms), woken(backends.Doubted)), event: gave(),
		want: asked1, to: "asking", look: 60*second - ms,
	},
	{
		name: "a doubt came before that call", start: askingFor("a").then(wait(ms), woken(backends.Doubted), held(sentAfter(ms))), event: gave(),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + soundFor.String()}, to: "leased",
	},
	{
		name: "servers are replaced, and that call's proof counts", start: start{failsOver}.then(queuedAt("a")...), after: 500 * ms, event: gave(),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - 500*ms).String()}, to: "leased",
	},
	{
		name: "servers are replaced, and that call's proof is old", start: start{failsOver}.then(queuedAt("a")...), after: 500*ms + 1, event: gave(),
		want: asked1, to: "asking", look: 60*second - 500*ms - 1,
	},
	{name: "when a gap is due", start: gapDueNow, event: gave(), to: "asking", look: 100 * ms},
	{name: "in a gap", start: inGapNow, after: ms, event: gave(), to: "asking", look: 100*ms - ms},
	{
		name: "after a gap", start: inGapNow.then(wait(100 * ms)), event: gave(), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for " + (soundFor - 600*ms).String()}, to: "leased",
	},
	{name: "nobody wants it", start: nothing, event: gave(), to: "free", look: never},
	{name: "the attempt ends", start: cancelling, event: gave(), to: "settling", look: never},
	{name: "it is ours already", start: leasedBy("a"), event: gave(), to: "leased", look: renewAt},
	{
		name: "the same once more", start: givenTo("a").then(wait(ms / 2)), event: gave(overBase(101)), to: "leased", look: ms / 2,
	},
	{name: "an offer is open", start: queuedAt("a").then(gave()), event: gave(overBase(101)), wrong: true},
	{
		name: "held, a lease was given meanwhile", start: queuedAt("a").then(wait(300*ms), tick, gave()), event: held(),
		want: []string{acquire1 + ", probe 2"}, to: "asking", look: 60*second - 300*ms,
	},
	{
		name: "granted, a lease was given meanwhile", start: queuedAt("a").then(wait(300*ms), tick, gave()), event: granted(),
		words: "Answered, granted",
		want:  []string{"offer a 102.0 for 10s"}, to: "leased",
	},
}
