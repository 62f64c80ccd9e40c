package machine

import "github.com/turnstile-go/turnstile/backends"

// ambiguousRows are those of attempts of which a request was not answered: every later call
// says so, until the attempt has ended. (What follows at once upon a request that was not
// answered is in the rows of its phase.)
var ambiguousRows = []row{
	{
		name: "its acquire was not answered at first", start: failing("a").then(wait(firstPauseAtHalf), tick, granted(), taken),
		event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "its acquire did not run at first", start: askingFor("a").then(fails(silent, notRun), wait(firstPauseAtHalf), tick, granted(), taken),
		event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "a renewal was not answered, and the next one was", start: renewing.then(fails(silent), wait(3*ms), tick, granted()),
		event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "its renewal was answered", start: renewing.then(granted()), event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "it was held, and then not answered", start: queuedAt("a").then(wait(300*ms), tick, fails(silent)), event: leave("a"),
		words: "Leave, by the last",
		want:  []string{"ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "it was not answered, and then held", start: failing("a").then(wait(firstPauseAtHalf), tick, held()), event: leave("a"),
		words: "Leave, by the last",
		want:  []string{"ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "an outcome without a word is no answer", start: askingFor("a").then(answer(done)), event: leave("a"), words: "Leave, by the last",
		want: []string{"ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "a release was not answered, and is not again", start: retrying.then(wait(firstPauseAtHalf), tick, fails(silent), wait(2*firstPauseAtHalf)),
		event: tick, want: []string{"ask release 1, ambiguous"}, to: "settling", look: 2*second - 3*firstPauseAtHalf,
	},
	{
		name: "the next attempt begins anew", start: retrying.then(wait(firstPauseAtHalf), tick, answer(done), arrive("b"), granted(), taken),
		event: release("b"), words: "Release, nobody waits",
		want: []string{"finish b", "ask release 2"}, to: "settling", look: 2 * second,
	},
	{
		name: "a panic forgot the call in flight", start: askingFor("a").then(panics(tick), wait(afterPanic)), event: tick,
		want: []string{"ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "a panic, and no call in flight", start: leasedBy("a").then(panics(tick), wait(afterPanic)), event: tick,
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "a renewal was refused, which says nothing of an earlier one", start: renewing.then(fails(passing)), event: release("a"),
		words: "Release, nobody waits",
		want:  []string{"finish a", "ask release 1, ambiguous"}, to: "settling", look: 2 * second,
	},
	{
		name: "a renewal found it revoked", start: renewing.then(fails(backends.ErrRevoked)), event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
}
