package machine

import "github.com/turnstile-go/turnstile/backends"

var (
	// gone is what a release is answered when nothing is there any more.
	gone = fails(backends.ErrNotHeld)
	// retrying: the release of a failed, and will be tried again.
	retrying = releasing.then(fails(silent))
	// shorter: b has the key for a second, by an attempt that was first asked for a's 60 s,
	// without an answer.
	shorter = askingFor("a", lasting(60*second)).then(arrive("b", lasting(second)), leave("a"), fails(silent),
		wait(firstPauseAtHalf), tick, granted(), taken)
)

var settlingRows = []row{
	{name: "waits for the end", start: releasing, event: arrive("b"), to: "settling", look: 2 * second},
	{name: "one try joins", start: releasing, event: arrive("b", once), to: "settling", look: 2 * second},
	{name: "one try, once another has left", start: cancelling, event: arrive("b", once), to: "settling", look: 2 * second},
	{
		name: "one try has a right to a call", start: retrying, event: arrive("b", once),
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "too many wait", start: releasing.then(set(func(c *Config) { c.MaxWaiters = 0 })), event: arrive("b"),
		want: []string{"refuse b: overloaded"}, to: "settling", look: 2 * second,
	},
	{
		name: "closing", start: releasing.then(closeIn(second)), event: arrive("b"),
		want: []string{"refuse b: closed"}, to: "settling", look: second,
	},
	{name: "the last", start: releasing.then(arrive("b")), event: leave("b"), to: "settling", look: 2 * second},
	{name: "no offer is open", start: releasing, event: taken, wrong: true},
	{name: "no offer is open", start: releasing, event: withdrawn, wrong: true},
	{
		name: "a second one", start: releasing, event: release("a"),
		want: []string{"released a: not held"}, to: "settling", look: 2 * second,
	},
	{
		name: "it has ended", start: releasing, event: extend("a", second),
		want: []string{"extended a: not held"}, to: "settling", look: 2 * second,
	},
	{
		name: "the lease goes back already", start: releasing, event: disown(0),
		want: []string{"disowned nothing"}, to: "settling", look: 2 * second,
	},
	{
		name: "released", start: releasing, event: answer(done), words: "Answered",
		want: []string{"released a"}, to: "free", look: never,
	},
	{
		name: "released, and b waits", start: releasing.then(arrive("b")), event: answer(done), words: "Answered, somebody waits",
		want: []string{"released a", acquire2}, to: "asking", look: 60 * second,
	},
	{
		name: "released, closing", start: releasing.then(closeIn(second)), event: answer(done), words: "Answered",
		want: []string{"released a"}, to: "free", look: second,
	},
	{
		name: "released, after a Disown", start: leasedBy("a").then(disown(0)), event: answer(done), words: "Answered",
		want: []string{"disowned ours"}, to: "free", look: never,
	},
	{
		name: "not held, after a Disown: it had gone", start: leasedBy("a").then(disown(0)), event: gone, words: "Answered",
		want: []string{"disowned ours"}, to: "free", look: never,
	},
	{
		name: "released, of a revoked hold", start: revokedFrom.then(release("a"), leave("b")), event: answer(done), words: "Answered",
		want: []string{"released a: not held, revoked"}, to: "free", look: never,
	},
	{
		name: "not held, of a revoked hold", start: revokedFrom.then(release("a"), leave("b")), event: gone, words: "Answered",
		want: []string{"released a: not held, revoked"}, to: "free", look: never,
	},
	{name: "cancelled", start: cancelling, event: answer(done), words: "Answered", to: "free", look: never},
	{
		name: "not held", start: releasing, event: gone, words: "Answered",
		want: []string{"released a: not held"}, to: "free", look: never,
	},
	{
		name: "not held, an earlier try may have done it", start: retrying.then(wait(firstPauseAtHalf), tick), event: gone, words: "Answered",
		want: []string{"released a"}, to: "free", look: never,
	},
	{name: "may have run", start: releasing, event: fails(silent), to: "settling", look: firstPauseAtHalf},
	{
		name: "may have run, of a lease that was lost", start: renewing.then(fails(backends.ErrNotHeld)), event: fails(silent),
		to: "settling", look: firstPauseAtHalf,
	},
	{name: "refused for now", start: releasing, event: fails(passing), to: "settling", look: firstPauseAtHalf},
	{
		name: "may have run, the backend answers again", start: releasing.then(woken(backends.Answering)), event: fails(silent),
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "refused for a reason that may pass: b fails, the release goes on", start: releasing.then(arrive("b")), event: fails(wrongLogin),
		want: []string{"refuse b: unavailable, refused, wrong login"}, to: "settling", look: firstPauseAtHalf,
	},
	{
		name: "refused for good", start: releasing, event: fails(refused), words: "Answered",
		want: []string{"released a: unavailable, refused, wrong type"}, to: "free", look: never,
	},
	{
		name: "may have run, one try waits", start: releasing.then(arrive("b", once)), event: fails(silent),
		want: []string{"time out b: silent: unavailable, cut"}, to: "settling", look: firstPauseAtHalf,
	},
	{
		name: "may have run, one try that came later", start: releasing.then(wait(ms), arrive("b", once)), event: fails(silent),
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2*second - ms,
	},
	{
		name: "may have run, when the lease is over anyway", start: releasing.then(wait(2*second), tick), after: ttl10 - 2*second,
		event: fails(silent), words: "Answered", to: "free", look: never,
	},
	{
		name: "may have run, just before the lease is over", start: releasing.then(wait(2*second), tick), after: ttl10 - 2*second - 1,
		event: fails(silent), to: "settling", look: firstPauseAtHalf,
	},
	{
		name:  "an attempt that may keep its place for longer than its lease would last",
		start: queuedAt("a", lasting(100*ms)).then(leave("a"), wait(900*ms)), event: fails(silent), to: "settling", look: firstPauseAtHalf,
	},
	{
		name: "… and no longer", start: queuedAt("a", lasting(100*ms)).then(leave("a"), wait(second)), event: fails(silent),
		words: "Answered", to: "free", look: never,
	},
	{
		name: "may have run, when the lease is over, but not that of an earlier request", start: shorter.then(release("b"), wait(2*second), tick),
		after: leaseOf(60*second) - 2*second - 1, event: fails(silent), to: "settling", look: firstPauseAtHalf,
	},
	{
		name: "may have run, when the lease of an earlier request is over, too", start: shorter.then(release("b"), wait(2*second), tick),
		after: leaseOf(60*second) - 2*second, event: fails(silent), words: "Answered", to: "free", look: never,
	},
	{
		name:  "… also after a renewal",
		start: shorter.then(wait(firstRenewal(leaseOf(second))), tick, granted(), release("b"), wait(2*second), tick),
		after: leaseOf(60*second) - 2*second - firstRenewal(leaseOf(second)) - 1, event: fails(silent),
		to: "settling", look: firstPauseAtHalf,
	},
	{
		name: "a call that a panic forgot", start: askingFor("a").then(panics(tick)), event: late,
		want: []string{"undo acquire 1"}, to: "settling", look: afterPanic,
	},
	{
		name: "a renewal that a panic forgot", start: renewing.then(panics(tick)), event: granted(),
		to: "settling", look: afterPanic,
	},
	{name: "nobody awaits a push", start: releasing, event: woken(backends.Given), to: "settling", look: 2 * second},
	{name: "it goes back already", start: releasing, event: woken(backends.Wanted), to: "settling", look: 2 * second},
	{name: "it goes back already", start: releasing, event: woken(backends.Doubted), to: "settling", look: 2 * second},
	{name: "it goes back already", start: releasing, event: woken(backends.Revoking), to: "settling", look: 2 * second},
	{
		name: "ends a pause", start: retrying, event: woken(backends.Answering),
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{name: "a pause goes on", start: retrying, after: firstPauseAtHalf - 1, event: tick, to: "settling", look: 1},
	{
		name: "a pause is over", start: retrying, after: firstPauseAtHalf, event: tick,
		want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2*second - firstPauseAtHalf,
	},
	{
		name: "a release has waited for 2 s", start: releasing, after: 2 * second, event: tick,
		want: []string{"released a: unavailable, no answer"}, to: "settling", look: never,
	},
	{
		name: "a release of a short lease waits no longer than that", start: leasedBy("a", lasting(200*ms)).then(release("a")),
		after: soundOf(leaseOf(200 * ms)), event: tick,
		want: []string{"released a: unavailable, no answer"}, to: "settling", look: never,
	},
	{
		name: "a release that failed for 2 s", start: releasing.then(wait(second), fails(silent)), after: second, event: tick,
		want: []string{"released a: unavailable, cut", "ask release 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "a disowning has waited for 2 s", start: leasedBy("a").then(disown(0)), after: 2 * second, event: tick,
		want: []string{"disowned ours: unavailable, no answer"}, to: "settling", look: never,
	},
	{
		name: "b times out", start: releasing.then(arrive("b", waiting(100*ms))), after: 100 * ms, event: tick,
		want: []string{"time out b: held"}, to: "settling", look: 1900 * ms,
	},
	{
		name: "b times out, since whose arrival nothing was answered", start: releasing.then(wait(ms), arrive("b", waiting(100*ms))),
		after: 100 * ms, event: tick,
		want: []string{"time out b: silent"}, to: "settling", look: 1899 * ms,
	},
}
