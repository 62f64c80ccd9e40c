package machine

import (
	"github.com/turnstile-go/turnstile/backends"
)

var (
	// renewing: the first renewal of a's lease is under way; a is not renewed.
	renewing = leasedBy("a").then(wait(renewAt), tick)
	// keeping: the first renewal of a, which is renewed until its release.
	keeping = leasedBy("a", renewed).then(wait(keepAt), tick)
	// keepAt is when a hold of 10 s is first renewed: after half of a third of it.
	keepAt = firstRenewal(10 * second)
	// keptShort is the same for a hold of 200 ms, of which the last 10 ms are not waited for.
	keptShort = leasedBy("a", renewed, lasting(200*ms)).then(wait(40*ms), tick)
	// proofEnds is when a hold that no renewal could prove is lost, before its deadline.
	proofEnds = 25 * ms
)

// left is what a renewal takes a hold of 10 s to need at the first renewal.
var left = 10*second - renewAt

// renewedRows are those of leased: what may be answered to a renewal, and when to look.
var renewedRows = []row{
	{name: "renewed", start: renewing, event: granted(), to: "leased", look: laterRenewal(ttlOf(left + 500*ms))},
	{
		name: "renewed, and the hold with it", start: keeping, event: granted(),
		want: []string{"move a to 10s"}, to: "leased", look: laterRenewal(10 * second),
	},
	{
		name: "renewed, late: it counts from before it was sent", start: keeping, after: 7 * ms, event: granted(sentAfter(2 * ms)),
		want: []string{"move a to " + (10*second - 5*ms).String()}, to: "leased", look: laterRenewal(10*second) - 5*ms,
	},
	{
		name: "renewed, for less than was asked", start: keeping,
		event: granted(func(_ *play, c *Call) { c.Reply.TTL = 9 * second }),
		want:  []string{"move a to " + soundOf(9*second).String()},
		to:    "leased", look: soundOf(9*second) - 10*second + laterRenewal(10*second),
	},
	{
		name: "renewed, up to its MaxHold", start: leasedBy("a", renewed, upTo(11*second)).then(wait(keepAt), tick), event: granted(),
		want: []string{"move a to " + (11*second - keepAt).String()}, to: "leased", look: laterRenewal(ttl10),
	},
	{
		name: "renewed, and extended", start: leasedBy("a").then(extend("a", 20*second)), event: granted(),
		want: []string{"move a to 20s", "extended a"}, to: "leased", look: laterRenewal(ttlOf(20500 * ms)),
	},
	{
		name: "renewed, and begun anew", start: leasedBy("a", renewed).then(wait(ms), restart("a", 20*second), wait(ms)), event: granted(),
		want: []string{"move a to 20s", "move a to 20s", "extended a"}, to: "leased", look: laterRenewal(ttlOf(20500*ms)) - ms,
	},
	{
		name: "renewed, too short for an extension", start: leasedBy("a").then(extend("a", 20*second)),
		event: granted(func(_ *play, c *Call) { c.Reply.TTL = ttl10 }),
		want:  []string{"ask renew 1 for " + ttlOf(20500*ms).String() + " over 102"}, to: "leased", look: 2 * second,
	},
	{
		name: "renewed, and checked", start: leasedBy("a").then(check("a")), event: granted(),
		want: []string{"extended a"}, to: "leased", look: laterRenewal(ttlOf(soundOf(ttl10))),
	},
	{
		name:  "renewed, by a renewal from before the check",
		start: renewing.then(wait(ms), check("a")), event: granted(),
		want: []string{"ask renew 1 for " + ttlOf(soundOf(ttlOf(left+500*ms))-ms).String() + " over 102"},
		to:   "leased", look: 2 * second,
	},
	{
		name: "renewed, for the next", start: lingering.then(arrive("b", lasting(20*second))), event: granted(),
		want: []string{"offer b 102.0 for 20s, handed on"}, to: "leased",
	},
	{
		name: "renewed, before a doubt", start: lingering.then(arrive("b", lasting(20*second)), wait(ms), woken(backends.Doubted)),
		event: granted(),
		want:  []string{"ask renew 1 for " + ttlOf(21500*ms).String() + " over 102"},
		to:    "leased", look: 60*second - ms,
	},
	{
		name: "renewed, and clear of the doubt", start: doubtful, event: granted(),
		want: []string{"offer a 102.0 for 10s"}, to: "leased",
	},
	{
		name: "renewed, nobody needs it", start: renewing.then(release("a")), event: granted(), words: "Answered, nobody waits",
		want: []string{"ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "renewed, but its hold is over", start: keeping, after: 10*second - keepAt, event: granted(), words: "Answered, nobody waits",
		want: []string{"end a: lost, no answer", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "renewed, closing", start: renewing.then(closeIn(second)), event: granted(), words: "Answered, nobody waits",
		want: []string{"ask release 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "not held", start: renewing, event: fails(backends.ErrNotHeld), words: "Answered, not held",
		want: []string{"end a: lost, not held", "ask release 1"}, to: "settling", look: never,
	},
	{
		name:  "not held, while two wait and one extends",
		start: renewing.then(arrive("b"), arrive("c"), extend("a", 20*second)), event: fails(backends.ErrNotHeld),
		words: "Answered, not held",
		want:  []string{"extended a: not held", "end a: lost, not held", "ask release 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "revoked", start: renewing, event: fails(backends.ErrRevoked),
		want: []string{"revoke a: " + told}, to: "leased", look: left,
	},
	{
		name: "revoked, and its extension is answered", start: renewing.then(extend("a", 20*second)), event: fails(backends.ErrRevoked),
		want: []string{"extended a: not held, revoked", "revoke a: " + told}, to: "leased", look: left,
	},
	{
		name: "revoked, nobody has it", start: lingering.then(arrive("b", lasting(20*second))), event: fails(backends.ErrRevoked),
		words: "Answered, revoked",
		want:  []string{"ask release 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "revoked, once more: nobody is told twice", start: revokedFrom.then(wait(second), tick), event: fails(backends.ErrRevoked),
		to: "leased", look: second,
	},
	{
		name: "a probe of a revoked lease gives it no time", start: revokedFrom.then(wait(second), tick), event: granted(),
		to: "leased", look: second,
	},
	{
		name: "may have run", start: renewing, event: fails(silent), to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "may have run, of a probe", start: revokedFrom.then(wait(second), tick), event: fails(silent),
		to: "leased", look: firstPauseAtHalf,
	},
	{
		name:  "may have run, of a probe: the pauses have begun anew",
		start: renewing.then(fails(silent), wait(3*ms), tick, fails(backends.ErrRevoked), arrive("b"), wait(second), tick),
		event: fails(silent), to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "renewed, after a failure where servers are replaced", start: start{failsOver}.then(unproved...).then(wait(3*ms), tick),
		event: granted(),
		want:  []string{"offer b 102.0 for 20s, handed on"}, to: "leased",
	},
	{
		name: "may have run, the backend answers again", start: renewing.then(woken(backends.Answering)), event: fails(silent),
		want: []string{renew1(left+500*ms) + ", ambiguous"}, to: "leased", look: left - proofEnds,
	},
	{
		name: "refused for now", start: renewing.then(arrive("b"), extend("a", 20*second)), event: fails(passing),
		to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "refused for good: the hold goes on", start: renewing.then(arrive("b"), extend("a", 20*second)), event: fails(refused),
		want: []string{"extended a: unavailable, refused, wrong type", "refuse b: unavailable, refused, wrong type"},
		to:   "leased", look: firstPauseAtHalf,
	},
	{
		name: "may have run, one try waits for it", start: lingering.then(arrive("b", lasting(20*second), once)), event: fails(silent),
		want: []string{"time out b: silent: unavailable, cut"}, to: "leased", look: second,
	},
	{
		name: "may have run, for so long that a hears of it", start: keeping.then(fails(silent), wait(250*ms), tick), event: fails(silent),
		want: []string{"warn a after 250ms: unavailable, cut"}, to: "leased", look: 2 * firstPauseAtHalf,
	},
	{
		name: "may have run, not for so long", start: keeping.then(fails(silent), wait(250*ms-1), tick), event: fails(silent),
		to: "leased", look: 2 * firstPauseAtHalf,
	},
	{
		name: "may have run, for an eighth of a short hold", start: keptShort.then(fails(silent), wait(25*ms), tick), event: fails(silent),
		want: []string{"warn a after 25ms: unavailable, cut"}, to: "leased", look: 2 * firstPauseAtHalf,
	},
	{
		name: "may have run, of a hold that is not renewed", start: renewing.then(fails(silent), wait(250*ms), tick), event: fails(silent),
		to: "leased", look: 2 * firstPauseAtHalf,
	},
	{
		name:  "may have run, of one that was renewed meanwhile",
		start: keeping.then(fails(silent), wait(250*ms), tick, granted(), wait(laterRenewal(10*second)+1), tick), event: fails(silent),
		to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "a call that a panic forgot", start: forgotten.then(leasedAgain...), event: late,
		want: []string{"undo acquire 1"}, to: "leased", look: renewAt,
	},
	{name: "renewal is not due", start: leasedBy("a"), after: renewAt - 1, event: tick, to: "leased", look: 2},
	{
		name: "renewal is due", start: leasedBy("a"), after: renewAt + 1, event: tick,
		want: []string{renew1(left + 500*ms - 1)}, to: "leased", look: left - 1,
	},
	{
		name: "renewal of the hold is due", start: leasedBy("a", renewed), after: keepAt + 1, event: tick,
		want: []string{renew1(10500 * ms)}, to: "leased", look: 10*second - proofEnds - keepAt - 1,
	},
	{
		name: "the hold is at its MaxHold: no renewal for it", start: leasedBy("a", renewed, upTo(10*second)), after: keepAt, event: tick,
		to: "leased", look: renewAt - keepAt,
	},
	{
		name: "a renewal has a third of what is left", start: leasedBy("a", renewed, lasting(3*second)).then(), after: second, event: tick,
		want: []string{renew1(3500*ms) + ", within " + (2 * second / 3).String()}, to: "leased", look: 2*second - proofEnds,
	},
	{
		name: "the hold expires", start: leasedBy("a").then(wait(renewAt), tick, granted(), wait(left-ms), tick), after: ms, event: tick,
		want: []string{"end a: expired"}, to: "leased", look: never,
	},
	{
		name: "the hold expires in the end", start: leasedBy("a").then(wait(renewAt), tick, granted(), wait(left-ms)), after: ms, event: tick,
		words: "Tick, the hold is over",
		want:  []string{"end a: expired", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the hold expires, and b is next", start: leasedBy("a", lasting(second)).then(arrive("b", lasting(100*ms))), after: second, event: tick,
		want: []string{"end a: expired", "offer b 101.1 for 100ms, handed on"}, to: "leased",
	},
}

var leasedAgain = start{arrive("a"), granted(), taken}
