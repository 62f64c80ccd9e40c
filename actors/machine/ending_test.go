package machine

import "github.com/turnstile-go/turnstile/backends"

var (
	// shareEnds: the end of a's share is under way.
	shareEnds = sharedBy("a").then(release("a"))
	// askEnds: a reads, and the end of b's ask is under way.
	askEnds = beside.then(leave("b"))
	// stoodBy: a's share is lost, and b's lock waits for its end.
	stoodBy = asksBeside.then(granted())
)

// endingRows are those of attempts that end beside others.
var endingRows = []row{
	{name: "ended", start: shareEnds, event: answer(done), words: "Answered, nothing is left", want: []string{"released a"}, to: "free", look: never},
	{
		name: "nothing was there", start: shareEnds, event: gone, words: "Answered, nothing is left",
		want: []string{"released a: not held"}, to: "free", look: never,
	},
	{
		name: "nothing was there, after a try", start: shareEnds.then(fails(silent), wait(firstPauseAtHalf), tick), event: gone,
		words: "Answered, nothing is left", want: []string{"released a"}, to: "free", look: never,
	},
	{name: "not answered", start: shareEnds, event: fails(silent), to: "sharing", look: firstPauseAtHalf},
	{
		name: "tried again", start: shareEnds.then(fails(silent), wait(firstPauseAtHalf)), event: tick,
		want: []string{"ask release 1 shared, ambiguous"}, to: "sharing", look: 2*second - firstPauseAtHalf,
	},
	{
		name: "refused for good", start: shareEnds, event: fails(refused), words: "Answered, nothing is left",
		want: []string{"released a: unavailable, refused, wrong type"}, to: "free", look: never,
	},
	{name: "refused for now", start: shareEnds, event: fails(passing), to: "sharing", look: firstPauseAtHalf},
	{
		name: "the release goes on in the background", start: shareEnds.then(fails(silent), wait(firstPauseAtHalf), tick, wait(2*second)), event: fails(silent),
		want: []string{"released a: unavailable, cut"}, to: "sharing", look: 2 * firstPauseAtHalf,
	},
	{
		name: "ended, and a writer waits, whose ask goes on", start: beside.then(release("a")), event: answer(done), words: "Answered, the ask goes on",
		want: []string{"released a"}, to: "asking", look: 300 * ms,
	},
	{
		name: "ended, and somebody waits", start: shareEnds.then(arrive("b")), event: answer(done), words: "Answered, somebody waits",
		want: []string{"released a", acquire2}, to: "asking", look: 60 * second,
	},
	{name: "the ask has ended", start: askEnds, event: answer(done), to: "sharing", look: renewAt},
	{name: "the end of an ask was not answered", start: askEnds, event: fails(silent), to: "sharing", look: firstPauseAtHalf},
	{
		name: "the end of an ask that may keep its place", start: sharedBy("a").then(arrive("b", lasting(100*ms)), held(), leave("b"), wait(900*ms)),
		event: fails(silent), to: "sharing", look: firstPauseAtHalf,
	},
	{
		name: "nothing is asked before the ends are over", start: askEnds.then(fails(silent)), event: arrive("c"), to: "sharing", look: firstPauseAtHalf,
	},
	{
		name: "the lost share has ended, and the lock is there", start: stoodBy, event: answer(done), words: "Answered, the lock is granted",
		want: []string{"offer b 102.0 for 10s"}, to: "leased",
	},
	{
		name: "… for nobody", start: stoodBy.then(leave("b")), event: answer(done), words: "Answered, nobody waits",
		want: []string{"ask release 2"}, to: "settling", look: never,
	},
	{
		name: "… and others wait", start: stoodBy.then(woken(backends.Wanted), answer(done)), event: taken, to: "leased", look: renewAt,
	},
	{
		name: "an ask that was not answered goes on", start: asksBeside.then(fails(silent), release("a"), answer(done)), event: tick,
		to: "asking", look: firstPauseAtHalf,
	},
	{
		name: "… and says so", start: asksBeside.then(fails(silent), release("a"), answer(done), wait(firstPauseAtHalf)), event: tick,
		want: []string{acquire2 + ", ambiguous"}, to: "asking", look: 60*second - firstPauseAtHalf,
	},
	{
		name: "a request of each was not answered: both say so", start: sharesRenewing.then(fails(silent), arrive("b"), fails(silent)), event: release("a"),
		want: []string{"finish a", "ask release 1 shared, ambiguous"}, to: "sharing", look: 2 * second,
	},
	{
		name: "… both", start: sharesRenewing.then(fails(silent), arrive("b"), fails(silent), release("a")), event: answer(done),
		words: "Answered, the ask goes on", want: []string{"released a"}, to: "asking", look: firstPauseAtHalf,
	},
	{
		name: "a disowned share has ended", start: sharedBy("a").then(disown(0)), event: answer(done), words: "Answered, nothing is left",
		want: []string{"disowned ours"}, to: "free", look: never,
	},
	{
		name: "two are disowned, and one has ended", start: twoShares.then(disown(0)), event: answer(done),
		want: []string{"ask release 2 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "… and both", start: twoShares.then(disown(0), answer(done)), event: answer(done), words: "Answered, nothing is left",
		want: []string{"disowned ours"}, to: "free", look: never,
	},
	{
		name: "a release while it is revoked", start: sharedBy("a").then(disown(0)), event: release("a"),
		want: []string{"released a: not held, revoked"}, to: "sharing", look: 2 * second,
	},
	{
		name: "its extension ends with it", start: sharedBy("a").then(extend("a", 20*second)), event: disown(0),
		want: []string{"extended a: not held, revoked", "revoke a: " + told}, to: "sharing", look: 2 * second,
	},
}

// sharedClosed: a's share is given back, until Close's second is over.
var sharedClosed = sharedBy("a").then(closeIn(second))

// sharedCloseRows are those of Close and of panics.
var sharedCloseRows = []row{
	{
		name: "somebody reads, and another waits to write", start: beside, event: closeIn(second),
		want: []string{"refuse b: closed", "finish a: closed", "ask release 1 shared, within 1s"}, to: "sharing", look: second,
	},
	{
		name: "then the ask ends", start: beside.then(closeIn(second)), event: answer(done),
		want: []string{"ask cancel 2, within 1s"}, to: "sharing", look: second,
	},
	{
		name: "nothing is left", start: sharedClosed, event: answer(done), words: "Answered, nothing is left", to: "free", look: second,
	},
	{
		name: "Close has been patient", start: sharedClosed.then(fails(silent), wait(second)), event: tick, words: "Tick, Close's time is over",
		want: []string{"leak: unavailable, cut"}, to: "free", look: never,
	},
	{name: "a call is dropped", start: sharedClosed, after: second, event: tick, want: []string{"drop release 1"}, to: "sharing", look: never},
	{
		name: "the dropped call is answered", start: sharedClosed.then(wait(second), tick), event: fails(silent), words: "Answered, nothing is left",
		want: []string{"leak: unavailable, cut"}, to: "free", look: never,
	},
	{
		name: "a renewal is under way", start: sharesRenewing, event: closeIn(second),
		want: []string{"finish a: closed"}, to: "sharing", look: second,
	},
	{
		name: "a failing end is tried at once", start: shareEnds.then(fails(silent)), event: closeIn(second),
		want: []string{"ask release 1 shared, ambiguous, within 1s"}, to: "sharing", look: second,
	},
	{
		name: "closing", start: sharedClosed, event: arrive("b", reading), want: []string{"refuse b: closed"}, to: "sharing", look: second,
	},
	{
		name: "everything ends", start: beside, event: panics(tick),
		want: []string{"refuse b: " + oops, "end a: lost, " + oops}, to: "sharing", look: afterPanic,
	},
	{
		name: "… one after the other", start: beside.then(panics(tick), wait(afterPanic)), event: tick,
		want: []string{"ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "a panic forgot the ask in flight", start: asksBeside.then(panics(tick), wait(afterPanic), tick), event: answer(done),
		want: []string{"ask cancel 2, ambiguous"}, to: "sharing", look: never,
	},
	{
		name: "a release", start: sharedBy("a"), event: panics(release("a")),
		want: []string{"released a: " + oops, "end a: lost, " + oops}, to: "sharing", look: afterPanic,
	},
	{
		name: "a downgrade", start: sharedBy("a"), event: panics(downgrade("a")),
		want: []string{"extended a: " + oops, "end a: lost, " + oops}, to: "sharing", look: afterPanic,
	},
	{
		name: "Close has been patient", start: sharedClosed.then(wait(second), tick), event: panics(tick), words: "Panicked, Close's time is over",
		want: []string{"leak: " + oops}, to: "free", look: never,
	},
	{name: "no offer is open", start: sharedBy("a"), event: taken, wrong: true},
	{name: "no offer is open", start: sharedBy("a"), event: withdrawn, wrong: true},
}
