package machine

import (
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

var (
	// givenTo: name has the key under a lease that was given to it, 100 ms after it had asked, and is not confirmed.
	givenTo = func(name string, o ...func(*Spec)) start {
		return queuedAt(name, o...).then(wait(100*ms), gave(), taken)
	}
	// confirming: the confirmation is under way since now.
	confirming = givenTo("a").then(wait(ms), tick)
	// confirm is the confirmation of a lease that has 840 ms less a millisecond left.
	confirm = renew1(10500*ms) + ", within " + ((soundFor - 101*ms) / 3).String()
	// cutShort: a has not taken the key, and b has had a renewal sent for a lease of 900 ms, and left. Then c got the key,
	// which needs it for 10 s.
	cutShort = queuedAt("a").then(arrive("b", lasting(450*ms), shown), gave(), withdrawn, leave("b"), wait(10*ms), arrive("c"), taken)
	// keptGiven: a has released, and the lease stays, unconfirmed.
	keptGiven = start{lingers}.then(givenTo("a")...).then(release("a"))
)

// cutTo is how long the lease of cutShort has from its push.
var cutTo = soundOf(ttlOf(900 * ms))

// shortLeft is how long a hold under it lasts, less what it is lost before its deadline.
const shortLeft = soundFor - 100*ms - 25*ms

// givenRows are those of leased, under a lease that was given and is not confirmed.
var givenRows = []row{
	{name: "the key is a's", start: queuedAt("a").then(wait(100*ms), gave()), event: taken, to: "leased", look: ms},
	{
		name: "nobody takes it", start: queuedAt("a").then(gave()), event: withdrawn, words: "Withdrawn, nobody waits",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the next is offered the same", start: queuedAt("a").then(arrive("b"), gave()), event: withdrawn,
		want: []string{"offer b 101.0 for " + soundFor.String()}, to: "leased",
	},
	{
		name: "the next shows its deadline", start: queuedAt("a").then(arrive("b", shown), gave()), event: withdrawn,
		want: []string{renew1(10500*ms) + ", within " + (soundFor / 3).String()}, to: "leased", look: 60 * second,
	},
	{
		name: "the renewal before the hold has asked for less: another follows", start: cutShort.then(granted()), after: 190 * ms, event: tick,
		want: []string{"ask renew 1 for " + ttl10.String() + " over 102, within " + ((cutTo - 200*ms) / 3).String()}, to: "leased",
		look: cutTo - 225*ms,
	},
	{
		name: "and that brings the hold its time", start: cutShort.then(granted(), wait(190*ms), tick), event: granted(),
		want: []string{"move c to 10s"}, to: "leased", look: laterRenewal(ttl10),
	},
	{name: "it is not confirmed yet", start: givenTo("a"), after: ms - 1, event: tick, to: "leased", look: 1},
	{name: "it is confirmed", start: givenTo("a"), after: ms, event: tick, want: []string{confirm}, to: "leased", look: shortLeft - ms},
	{
		name: "released before", start: givenTo("a"), event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: soundFor - 100*ms,
	},
	{
		name: "released, and the confirmation is under way", start: confirming, event: release("a"),
		want: []string{"finish a"}, to: "leased", look: soundFor - 101*ms,
	},
	{
		name: "the confirmation comes after the release", start: confirming.then(release("a")), event: granted(), words: "Answered, nobody waits",
		want: []string{"ask release 1"}, to: "settling", look: soundFor - 101*ms,
	},
	{
		name: "somebody waits behind it: it is confirmed at once", start: givenTo("a"), event: arrive("b"),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "one for whom the lease is long enough", start: givenTo("a"), event: arrive("b", lasting(100*ms)), to: "leased", look: ms,
	},
	{
		name: "one that shows its deadline", start: givenTo("a"), event: arrive("b", lasting(100*ms), shown),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "b waits, and fits", start: givenTo("a").then(arrive("b", lasting(100*ms))), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 100ms, handed on"}, to: "leased",
	},
	{
		name: "b waits, and would be cut short: only the first hold is", start: confirming.then(arrive("b")), event: release("a"),
		want: []string{"finish a"}, to: "leased", look: soundFor - 101*ms,
	},
	{
		name:  "b waits, and would fit, but the confirmation may have cut the lease",
		start: givenTo("a", lasting(200*ms)).then(wait(ms), tick, arrive("b", lasting(600*ms)), fails(silent)), event: release("a"),
		want: []string{"finish a"}, to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "b waits, and shows its deadline", start: givenTo("a").then(arrive("b", lasting(100*ms), shown)), event: release("a"),
		want: []string{"finish a"}, to: "leased", look: soundFor - 100*ms,
	},
	{
		name: "b waits, and the confirmation brings it the key", start: confirming.then(arrive("b", shown), release("a")), event: granted(),
		want: []string{"offer b 102.0 for 10s, handed on"}, to: "leased",
	},
	{
		name: "an extension waits for the confirmation", start: givenTo("a"), event: extend("a", 100*ms),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "a check asks at once", start: givenTo("a"), event: check("a"),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "confirmed: the hold gets its time", start: confirming, event: granted(), want: []string{"move a to 10s"},
		to: "leased", look: firstRenewal(ttl10),
	},
	{
		name: "confirmed: it expires at its end", start: confirming.then(granted()), after: 10 * second, event: tick, words: "Tick, the hold is over",
		want: []string{"end a: expired", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "confirmed, and renewed as any that is", start: givenTo("a", renewed).then(wait(ms), tick, granted()), after: keepAt + 1, event: tick,
		want: []string{"ask renew 1 for " + ttl10.String() + " over 102"}, to: "leased", look: 10*second - proofEnds - keepAt - 1,
	},
	{
		name: "confirmed, and so is the extension", start: givenTo("a").then(extend("a", 100*ms)), event: granted(),
		want: []string{"move a to 10s", "extended a"}, to: "leased", look: firstRenewal(ttl10),
	},
	{
		name: "confirmed, too short for an extension, which waits its 2 s", start: confirming.then(extend("a", 20*second)), event: granted(),
		want: []string{"move a to 10s", "ask renew 1 for " + ttlOf(20500*ms).String() + " over 102"}, to: "leased", look: 2 * second,
	},
	{
		name: "confirmed, late: it counts from before it was sent", start: confirming, after: 7 * ms, event: granted(sentAfter(2 * ms)),
		want: []string{"move a to " + (10*second - 5*ms).String()}, to: "leased", look: firstRenewal(ttl10) - 5*ms,
	},
	{
		name: "confirmed, up to its MaxHold", start: givenTo("a", renewed, upTo(5*second)).then(wait(ms), tick), event: granted(),
		want: []string{"move a to " + (5*second - ms).String()}, to: "leased", look: firstRenewal(ttl10),
	},
	{
		name: "confirmed, a hold that had its time", start: givenTo("a", lasting(200*ms)).then(wait(ms), tick), event: granted(),
		to: "leased", look: firstRenewal(ttlOf(399 * ms)),
	},
	{
		name: "confirmed, for the next hold it is as any lease", start: confirming.then(granted(), arrive("b")), event: release("a"),
		want: []string{"finish a", "offer b 102.0 for 10s, handed on"}, to: "leased",
	},
	{
		name: "confirmed, but its hold is over", start: confirming, after: shortLeft, event: granted(), words: "Answered, nobody waits",
		want: []string{"end a: lost, no answer", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "another has it, or nobody, or a later lease of ours", start: confirming, event: fails(backends.ErrNotHeld), words: "Answered, not held",
		want: []string{"end a: lost, not held", "ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the same, and b asks anew after that", start: confirming.then(arrive("b")), event: fails(backends.ErrNotHeld), words: "Answered, not held",
		want: []string{"end a: lost, not held", "ask release 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "it was revoked", start: confirming, event: fails(backends.ErrRevoked), want: []string{"revoke a: " + told},
		to: "leased", look: soundFor - 101*ms,
	},
	{
		name: "no answer: it is tried again", start: confirming, event: fails(silent), to: "leased", look: firstPauseAtHalf,
	},
	{
		name: "an error proves nothing: it is tried again", start: confirming.then(fails(passing), wait(firstPauseAtHalf)), event: tick,
		want: []string{renew1(10500*ms) + ", ambiguous, within " + ((soundFor - 101*ms - firstPauseAtHalf) / 3).String()},
		to:   "leased", look: shortLeft - ms - firstPauseAtHalf,
	},
	{
		name: "no answer for so long that a hears of it", start: confirming.then(fails(silent), wait(250*ms), tick), event: fails(silent),
		want: []string{"warn a after 250ms: unavailable, cut"}, to: "leased", look: 2 * firstPauseAtHalf,
	},
	{
		name: "no answer until it is over", start: confirming.then(fails(silent)), after: shortLeft - ms, event: tick, words: "Tick, the hold is over",
		want: []string{"end a: lost, unavailable, cut", "ask release 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "no word until it is over", start: confirming, after: shortLeft - ms, event: tick, want: []string{"end a: lost, no answer"},
		to: "leased", look: never,
	},
	{
		name: "a hold that had its time, and is not renewed, expires", start: givenTo("a", lasting(200*ms)).then(wait(ms), tick), after: 199 * ms,
		event: tick, want: []string{"end a: expired"}, to: "leased", look: never,
	},
	{
		name: "it may be gone: it is confirmed at once", start: givenTo("a"), event: woken(backends.Doubted),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "it may be revoked: it is confirmed at once", start: givenTo("a"), event: woken(backends.Revoking),
		want: []string{renew1(10500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: shortLeft,
	},
	{
		name: "another process waits, by the push: within the Tenure", start: contendedGift, after: 20*ms - 1, event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 100ms, handed on"}, to: "leased",
	},
	{
		name: "another process waits, by the push: the Tenure is over", start: contendedGift, after: 20 * ms, event: release("a"),
		words: "Release, another's turn",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: soundFor - 120*ms,
	},
	{
		name: "another process waits, by the push: the holder hears of it", start: queuedAt("a").then(gave(othersWait), taken), event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: ms,
	},
	{
		name: "handoff is turned off", start: start{noHandoff}.then(givenTo("a")...).then(arrive("b", lasting(100*ms))), event: release("a"),
		words: "Release, another's turn",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: soundFor - 100*ms,
	},
	{
		name: "it lingers", start: start{lingers}.then(givenTo("a")...), event: release("a"), want: []string{"finish a", "released a"},
		to: "leased", look: soundFor - 100*ms,
	},
	{
		name: "what lingers is confirmed for the next", start: keptGiven, event: arrive("b"),
		want: []string{renew1(11500*ms) + ", within " + ((soundFor - 100*ms) / 3).String()}, to: "leased", look: 60 * second,
	},
	{
		name: "what lingers goes back before it is over", start: keptGiven, after: soundFor - 100*ms, event: tick, words: "Tick, the lease is over",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "revoked from here, by its base", start: givenTo("a"), event: disown(101), words: "Disown",
		want: []string{"revoke a: " + told, "ask release 1"}, to: "settling", look: soundFor - 100*ms,
	},
	{
		name: "the hold before it is revoked from here, by its base", start: givenTo("a"), event: disown(100),
		want: []string{"disowned nothing"}, to: "leased", look: ms,
	},
	{
		name: "revoked from here, by the push's base, once it is confirmed", start: confirming.then(granted()), event: disown(101), words: "Disown",
		want: []string{"revoke a: " + told, "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "closing", start: givenTo("a"), event: closeIn(second), words: "Close",
		want: []string{"finish a: closed", "ask release 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "closing, and the confirmation is under way", start: confirming, event: closeIn(second), want: []string{"finish a: closed"},
		to: "leased", look: second,
	},
	{
		name: "a panic", start: givenTo("a"), event: panics(tick), words: "Panicked",
		want: []string{"end a: lost, " + oops}, to: "settling", look: afterPanic,
	},
	{
		name: "a panic, once it was offered", start: queuedAt("a").then(arrive("b")), event: panicsAfter(gave()), words: "Panicked",
		want: []string{"refuse a: " + oops, "refuse b: " + oops}, to: "settling", look: afterPanic,
	},
}

// contendedGift: a has the key, b waits here for a short hold, and the push has said that another process waits.
var contendedGift = queuedAt("a").then(arrive("b", lasting(100*ms)), wait(100*ms), gave(othersWait), taken)

// TestAConfirmationCutsTheLeaseWhenItIsSent: it asks for less than was given, and if its answer is lost the lease may be
// as short.
func TestAConfirmationCutsTheLeaseWhenItIsSent(t *testing.T) {
	for _, test := range []struct {
		start start
		want  string // of the deadline, from the push
	}{
		{givenTo("a", lasting(200*ms)), (soundFor - 100*ms).String()},
		{givenTo("a", lasting(200*ms)).then(wait(ms), tick), (ms + soundOf(ttlOf(399*ms))).String()},
		{givenTo("a").then(wait(ms), tick), (soundFor - 100*ms).String()},
	} {
		p := newPlay().all(test.start...)
		if got := p.m.leased.deadline.Sub(began + Instant(100*ms)).String(); got != test.want {
			t.Errorf("deadline %v after the push, want %v", got, test.want)
		}
	}
}

// TestAGivenLeaseEndsByThenAtTheBackend: its release is tried for as long as the lease may be there, also by an ask that
// was not answered.
func TestAGivenLeaseEndsByThenAtTheBackend(t *testing.T) {
	p := newPlay().all(failing("a")...).all(gave(), taken)
	if got := p.m.leased.ends.Sub(p.now); got != ttl10 {
		t.Errorf("the backend's end is %v after the push, want that of the call that was not answered, %v", got, ttl10)
	}
	p = newPlay().all(queuedAt("a", lasting(100*ms))...).all(gave(), taken)
	if got := p.m.leased.ends.Sub(p.now); got != second {
		t.Errorf("the backend's end is %v after the push, want the second for which it was given", got)
	}
}
