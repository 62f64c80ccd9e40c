package machine

var (
	// closed: the release of a is tried until Close's second is over.
	closed = leasedBy("a").then(closeIn(second))
	// closedInVain: Close's time is over, and the call that it drops has not returned.
	closedInVain = closed.then(wait(second), tick)
)

const oops = "unavailable, oops" // what a panic is to those who ask

var closeRows = []row{
	{
		name: "queued", start: queuedAt("a").then(arrive("b")), event: closeIn(second), words: "Close",
		want: []string{"refuse a: closed", "refuse b: closed", "ask cancel 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "queued, with little time", start: queuedAt("a"), event: closeIn(0), words: "Close",
		want: []string{"refuse a: closed", "ask cancel 1, within 1ms"}, to: "settling", look: never,
	},
	{
		name: "nothing is left", start: unsettled, event: closeIn(second), words: "Close, nothing is left",
		want: []string{"refuse a: closed"}, to: "free", look: second,
	},
	{
		name: "a call is under way", start: askingFor("a"), after: 500 * ms, event: closeIn(second),
		want: []string{"refuse a: closed"}, to: "asking", look: second,
	},
	{
		name: "a call is under way since long", start: askingFor("a"), after: 1500 * ms, event: closeIn(second),
		want: []string{"refuse a: closed"}, to: "asking", look: 500 * ms,
	},
	{
		name: "a backend that was silent all the time gets a last try", start: askingFor("a"), after: 5 * second, event: closeIn(second),
		want: []string{"refuse a: closed"}, to: "asking", look: 50 * ms,
	},
	{
		name: "silent since the first of its failures", start: failing("a").then(wait(500*ms), tick, fails(silent)),
		after: second, event: closeIn(2 * second), words: "Close",
		want: []string{"refuse a: closed", "ask cancel 1, ambiguous, within 500ms"}, to: "settling", look: 500 * ms,
	},
	{
		name: "it answered after its failures", start: failing("a").then(wait(firstPauseAtHalf), tick, held(), wait(100*ms)),
		event: closeIn(2 * second), words: "Close",
		want: []string{"refuse a: closed", "ask cancel 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "there is no time at all", start: askingFor("a"), event: closeIn(0),
		want: []string{"refuse a: closed", "drop acquire 1"}, to: "asking", look: never,
	},
	{
		name: "time is over", start: askingFor("a").then(closeIn(second)), after: second, event: tick,
		want: []string{"drop acquire 1"}, to: "asking", look: never,
	},
	{
		name: "somebody has it", start: leasedBy("a").then(arrive("b")), event: closeIn(second), words: "Close",
		want: []string{"refuse b: closed", "finish a: closed", "ask release 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "somebody extends", start: leasedBy("a").then(extend("a", 20*second)), event: closeIn(second),
		want: []string{"extended a: not held", "finish a: closed"}, to: "leased", look: second,
	},
	{
		name: "it lingers", start: lingering, event: closeIn(second), words: "Close",
		want: []string{"ask release 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "once more, with another time", start: renewing.then(closeIn(second)), event: closeIn(500 * ms),
		to: "leased", look: second,
	},
	{
		name: "time is over", start: renewing.then(closeIn(second)), after: second, event: tick,
		want: []string{"drop renew 1"}, to: "leased", look: never,
	},
	{name: "a call is under way", start: releasing, event: closeIn(second), to: "settling", look: second},
	{
		name: "tried at once", start: retrying, event: closeIn(second),
		want: []string{"ask release 1, ambiguous, within 1s"}, to: "settling", look: second,
	},
	{
		name: "there is no time at all", start: retrying, event: closeIn(0), words: "Close, its time is over",
		want: []string{"released a: unavailable, cut", "leak: unavailable, cut"}, to: "free", look: never,
	},
	{
		name: "time is over, in a call", start: closed, after: second, event: tick,
		want: []string{"drop release 1"}, to: "settling", look: never,
	},
	{
		name: "time is over, in a pause", start: closed.then(wait(999*ms), fails(silent)), after: ms, event: tick,
		words: "Tick, Close's time is over",
		want:  []string{"leak: unavailable, cut"}, to: "free", look: never,
	},
	{
		name: "time is over, in a pause of a cancel: nothing leaks", start: cancelling.then(closeIn(second), wait(999*ms), fails(silent)),
		after: ms, event: tick, words: "Tick, Close's time is over", to: "free", look: never,
	},
	{
		name: "time is over, in the pause after a panic", start: closed.then(wait(900*ms), panics(tick)), after: 100 * ms, event: tick,
		to: "settling", look: afterPanic - 100*ms,
	},
	{
		name: "not released, and Close's time is over", start: closedInVain, event: fails(silent), words: "Answered",
		want: []string{"leak: unavailable, cut"}, to: "free", look: never,
	},
	{
		name: "not cancelled, and Close's time is over", start: cancelling.then(closeIn(second), wait(second), tick), event: fails(silent),
		words: "Answered", to: "free", look: never,
	},
	{
		name: "released late", start: closedInVain, event: answer(done), words: "Answered", to: "free", look: never,
	},
	{
		name: "refused for good", start: closed, event: fails(refused), words: "Answered",
		want: []string{"leak: unavailable, refused, wrong type"}, to: "free", look: second,
	},
	{name: "not released, but there is time", start: closed, event: fails(silent), to: "settling", look: firstPauseAtHalf},
}

var panicRows = []row{
	{name: "nobody wants it", start: nothing, event: panics(tick), to: "free", look: never},
	{
		name: "b waits for the end of a pause", start: stalled, event: panics(tick),
		want: []string{"refuse b: " + oops}, to: "free", look: never,
	},
	{
		name: "an Arrive", start: nothing, event: panics(arrive("a")),
		want: []string{"refuse a: " + oops}, to: "free", look: never,
	},
	{
		name: "an Extend", start: nothing, event: panics(extend("a", second)),
		want: []string{"extended a: " + oops}, to: "free", look: never,
	},
	{
		name: "a Disown", start: nothing, event: panics(disown(0)),
		want: []string{"disowned nothing: " + oops}, to: "free", look: never,
	},
	{
		name: "an Arrive, once it waits", start: askingFor("a"), event: panicsAfter(arrive("b")), words: "Panicked",
		want: []string{"refuse a: " + oops, "refuse b: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "nothing is left", start: unsettled, event: panics(tick), words: "Panicked, nothing is left",
		want: []string{"refuse a: " + oops}, to: "free", look: never,
	},
	{
		name: "somebody has it, and b waits", start: leasedBy("a").then(arrive("b")), event: panics(tick), words: "Panicked",
		want: []string{"refuse b: " + oops, "end a: lost, " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "an offer is open", start: offeredTo("a"), event: panics(taken), words: "Panicked",
		want: []string{"refuse a: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "an offer was open when it panicked", start: offeredTo("a").then(panics(taken)), event: tick,
		to: "settling", look: afterPanic,
	},
	{
		name: "a Release", start: leasedBy("a"), event: panics(release("a")), words: "Panicked",
		want: []string{"released a: " + oops, "end a: lost, " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a Release, before the hold has gone", start: leasedBy("a").then(arrive("b", waiting(second))), after: second,
		event: panicsWithin(release("a")), words: "Panicked",
		want: []string{"released a: " + oops, "refuse b: " + oops, "end a: lost, " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a Release, when the hold has gone", start: leasedBy("a"), event: panicsWithin(release("a")), words: "Panicked",
		want: []string{"finish a", "released a: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name:  "a Release, of a hold that had ended before, when nobody has been answered",
		start: releasing.then(answer(done), arrive("b", waiting(second))), after: second, event: panicsWithin(release("a")), words: "Panicked",
		want: []string{"released a: " + oops, "refuse b: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name:  "a Release, when the hold is just over, and nobody has been answered",
		start: leasedBy("a").then(arrive("b", waiting(10*second))), after: 10 * second, event: panicsWithin(release("a")), words: "Panicked",
		want: []string{"end a: expired", "released a: " + oops, "refuse b: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a Release, of a hold that is over, once it is answered", start: leasedBy("a"), after: 10 * second,
		event: panicsWithin(release("a")), words: "Panicked",
		want: []string{"end a: expired", "released a: not held"}, to: "settling", look: afterPanic,
	},
	{
		name: "a Release, of a hold that had ended before, once it is answered", start: releasing.then(answer(done)),
		event: panicsAtLast(release("a")),
		want:  []string{"released a: not held"}, to: "free", look: never,
	},
	{
		name: "a Release, in whose step it was answered", start: start{lingers}.then(leasedBy("a")...),
		event: panicsAfter(release("a")), words: "Panicked", to: "settling", look: afterPanic,
	},
	{
		name: "a Release, once it waits for the backend", start: renewing, event: panicsAtLast(release("a")), words: "Panicked",
		want: []string{"finish a", "released a: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a Release, once it is under way", start: renewing, event: panicsAfter(release("a")), words: "Panicked",
		want: []string{"released a: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "an Extend, once it is under way", start: renewing, event: panicsAfter(extend("a", 20*second)), words: "Panicked",
		want: []string{"extended a: not held", "end a: lost, " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a Disown, once it is under way", start: renewing, event: panicsAfter(disown(0)), words: "Panicked",
		want: []string{"disowned ours: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a release is under way", start: releasing.then(arrive("b")), event: panics(tick),
		want: []string{"refuse b: " + oops, "released a: " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "Close's time is over", start: closedInVain, event: panics(tick), words: "Panicked, Close's time is over",
		want: []string{"leak: " + oops}, to: "free", look: never,
	},
	{
		name: "Close's time is over", start: askingFor("a").then(closeIn(second), wait(second), tick), event: panics(tick),
		words: "Panicked, Close's time is over",
		want:  []string{"leak: " + oops}, to: "free", look: never,
	},
	{
		name: "Close's time is over", start: renewing.then(closeIn(second), wait(second), tick), event: panics(tick),
		words: "Panicked, Close's time is over",
		want:  []string{"leak: " + oops}, to: "free", look: never,
	},
	{
		name: "closing, but there is time", start: closed, event: panics(tick), to: "settling", look: afterPanic,
	},
	{
		name: "closing, and the time is over before the pause", start: closed, after: 900 * ms, event: panics(tick),
		to: "settling", look: 100 * ms,
	},
	{
		name: "Close's time is over, and nothing is leased", start: start{closeIn(second)}, after: second, event: panics(tick),
		to: "free", look: never,
	},
}
