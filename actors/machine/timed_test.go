package machine

import "github.com/turnstile-go/turnstile/backends"

// timedRows are those of leased: what happens when nothing does.
var timedRows = []row{
	{
		name: "not lingering any more", start: lingering, after: second, event: tick, words: "Tick, it has lingered",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{name: "still lingering", start: lingering, after: second - 1, event: tick, to: "leased", look: 1},
	{
		name: "the lease is over", start: unproved.then(wait(soundOf(ttlOf(11500 * ms)))), event: tick, words: "Tick, the lease is over",
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 60*second - soundOf(ttlOf(11500*ms)),
	},
	{
		name: "no renewal got through: the hold is lost early", start: keeping.then(fails(silent), wait(10*second-keepAt-proofEnds)), event: tick,
		words: "Tick, the hold is over",
		want:  []string{"end a: lost, unavailable, cut", "ask release 1, ambiguous"}, to: "settling",
		look: never,
	},
	{
		name: "… by a twentieth of a short one", start: keptShort.then(fails(silent), wait(150*ms)), event: tick,
		words: "Tick, the hold is over",
		want:  []string{"end a: lost, unavailable, cut", "ask release 1, ambiguous"}, to: "settling",
		look: never,
	},
	{
		name: "a renewal has what is left, if that is little", start: keptShort.then(fails(silent), wait(140*ms)), event: tick,
		want: []string{renew1(400*ms) + ", ambiguous, within 20ms"}, to: "leased", look: 10 * ms,
	},
	{
		name: "… also one that is not renewed", start: renewing.then(fails(silent), wait(left-proofEnds)), event: tick,
		words: "Tick, the hold is over",
		want:  []string{"end a: lost, unavailable, cut", "ask release 1, ambiguous"}, to: "settling",
		look: never,
	},
	{
		name:  "a hold at its MaxHold expires, proved or not",
		start: leasedBy("a", renewed, upTo(10*second)).then(wait(renewAt), tick, fails(silent), wait(3*ms), tick, wait(left-3*ms)), event: tick,
		want: []string{"end a: expired"}, to: "leased", look: never,
	},
	{
		name: "a revoked hold has its time, though it was to be renewed", start: keeping.then(fails(backends.ErrRevoked), wait(10*second-keepAt-1)),
		event: tick, to: "leased", look: 1,
	},
	{
		name: "what ended badly does not linger", start: lingering.then(arrive("b", lasting(100*ms)), taken), after: 100 * ms, event: tick,
		words: "Tick, the hold is over",
		want:  []string{"end b: expired", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "a revoked hold has its time to the end", start: revokedFrom.then(leave("b"), wait(left-1)), event: tick,
		to: "leased", look: 1,
	},
	{
		name: "and no longer", start: revokedFrom.then(leave("b"), wait(left)), event: tick, words: "Tick, the hold is over",
		want: []string{"end a: expired", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "b times out", start: leasedBy("a").then(arrive("b", waiting(100*ms))), after: 100 * ms, event: tick,
		want: []string{"time out b: held"}, to: "leased", look: renewAt - 100*ms,
	},
	{
		name: "a release has waited for 2 s", start: renewing.then(release("a")), after: 2 * second, event: tick,
		want: []string{"released a: unavailable, no answer"}, to: "leased", look: never,
	},
	{
		name: "an extension has waited for 2 s", start: leasedBy("a").then(extend("a", 20*second)), after: 2 * second, event: tick,
		want: []string{"extended a: unavailable, no answer"}, to: "leased", look: 8 * second,
	},
	{
		name: "a disowning has waited for 2 s", start: renewing.then(disown(0)), after: 2 * second, event: tick,
		want: []string{"disowned ours: unavailable, no answer"}, to: "leased", look: never,
	},
	{
		name: "an extension is tried again", start: leasedBy("a").then(extend("a", 20*second), fails(silent)), after: firstPauseAtHalf, event: tick,
		want: []string{renew1(20500*ms) + ", ambiguous"}, to: "leased", look: 2*second - firstPauseAtHalf,
	},
	{
		name: "a revoked lease is asked for each second, for b", start: revokedFrom, after: second, event: tick,
		want: []string{"ask renew 1 for " + (soundOf(ttl10) - renewAt - second).Truncate(ms).String() + " over 101"},
		to:   "leased", look: left - second,
	},
	{name: "not before a second is over", start: revokedFrom, after: second - 1, event: tick, to: "leased", look: 1},
	{
		name: "a revoked lease is asked for at once, in doubt", start: revokedFrom.then(wait(ms)), event: woken(backends.Doubted),
		want: []string{"ask renew 1 for " + (soundOf(ttl10) - renewAt - ms).Truncate(ms).String() + " over 101"},
		to:   "leased", look: left - ms,
	},
	{
		name: "nobody waits for the revoked lease", start: revokedFrom.then(leave("b")), after: second, event: tick,
		to: "leased", look: left - second,
	},
	{
		name: "a proof ages while b waits", start: start{failsOver}.then(leasedBy("a")...).then(arrive("b")), after: 500*ms + 1, event: tick,
		want: []string{renew1(10500 * ms)}, to: "leased", look: 10*second - 500*ms - 1,
	},
	{
		name: "a proof ages, and nobody waits", start: start{failsOver}.then(leasedBy("a")...), after: 500*ms + 1, event: tick,
		to: "leased", look: renewAt - 500*ms - 1,
	},
	{
		name: "without wakes it asks for others, each half Tenure", start: start{noWakes}.then(leasedBy("a")...).then(arrive("b")),
		after: 10 * ms, event: tick,
		want: []string{renew1(10500 * ms)}, to: "leased", look: 10*second - 10*ms,
	},
	{
		name: "not before", start: start{noWakes}.then(leasedBy("a")...).then(arrive("b")),
		after: 10*ms - 1, event: tick, to: "leased", look: 500*ms + 1 - 10*ms + 1,
	},
	{
		name: "it knows of others", start: start{noWakes, arrive("a"), granted(contended), taken, arrive("b")},
		after: 10 * ms, event: tick, to: "leased", look: 500*ms + 1 - 10*ms,
	},
	{
		name:  "the lease of a long hold shrinks for a short one",
		start: start{lingers}.then(leasedBy("b", lasting(60*second))...).then(release("b"), arrive("a"), taken), after: 250 * ms, event: tick,
		want: []string{renew1(10*second - 250*ms + 1500*ms)}, to: "leased", look: 10*second - 250*ms,
	},
	{
		name:  "the lease of a hold that is not so much longer stays",
		start: start{lingers}.then(leasedBy("b", lasting(22*second))...).then(release("b"), arrive("a"), taken), after: 250 * ms, event: tick,
		to: "leased", look: firstRenewal(ttlOf(23500*ms)) - 250*ms,
	},
	{
		name:  "not before 250 ms are over",
		start: start{lingers}.then(leasedBy("b", lasting(60*second))...).then(release("b"), arrive("a"), taken), after: 250*ms - 1, event: tick,
		to: "leased", look: 1,
	},
	{name: "an offer is open", start: offeredTo("a"), event: tick, wrong: true},
	{name: "an offer is open", start: offeredTo("a"), event: woken(backends.Given), wrong: true},
	{name: "an offer is open", start: offeredTo("a"), event: closeIn(second), wrong: true},
	{name: "an offer is open", start: renewing.then(arrive("b", lasting(5*second)), release("a")), event: fails(silent), wrong: true},
}
