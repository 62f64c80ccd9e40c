package machine

import (
	"github.com/turnstile-go/turnstile/backends"
)

// unheard: the only caller that would have waited has left while its request is on its
// way, and one try, which came later, has a right to a request of its own.
var unheard = askingFor("a").then(wait(ms), arrive("b", once), leave("a"))

// answerRows are those of asking: what may be answered to an acquire.
var answerRows = []row{
	{
		name: "granted", start: askingFor("a"), event: granted(), words: "Answered, granted",
		want: []string{"offer a 101.0 for 10s"}, to: "leased",
	},
	{
		name: "granted, up to its MaxHold", start: askingFor("a", renewed, upTo(4*second)), event: granted(),
		words: "Answered, granted",
		want:  []string{"offer a 101.0 for 4s"}, to: "leased",
	},
	{
		name: "granted, to the first of two", start: askingFor("a").then(arrive("b")), event: granted(),
		words: "Answered, granted",
		want:  []string{"offer a 101.0 for 10s"}, to: "leased",
	},
	{
		name: "granted, the first has left", start: askingFor("a").then(arrive("b"), leave("a")), event: granted(),
		words: "Answered, granted",
		want:  []string{"offer b 101.0 for 10s"}, to: "leased",
	},
	{
		name: "granted, a doubt came before it was sent", start: askingFor("a").then(woken(backends.Doubted)),
		event: granted(sentAfter(ms)), after: 2 * ms, words: "Answered, granted",
		want: []string{"offer a 101.0 for 10s"}, to: "leased",
	},
	{
		name: "granted, a doubt came after it was sent", start: askingFor("a").then(wait(ms), woken(backends.Doubted)),
		event: granted(), words: "Answered, granted",
		want: []string{"ask renew 1 for " + ttl10.String() + " over 101"}, to: "leased", look: 60*second - ms,
	},
	{
		name: "granted, it may be revoked", start: askingFor("a").then(wait(ms), woken(backends.Revoking)),
		event: granted(), words: "Answered, granted",
		want: []string{"ask renew 1 for " + ttl10.String() + " over 101"}, to: "leased", look: 60*second - ms,
	},
	{
		name: "granted, for less than the hold", start: askingFor("a"),
		event: granted(func(_ *play, c *Call) { c.Reply.TTL = second }), words: "Answered, granted",
		want: []string{"ask renew 1 for " + ttl10.String() + " over 101, within " + (soundOf(second) / 3).String()},
		to:   "leased", look: 60 * second,
	},
	{
		name: "granted, nobody waits any more", start: askingFor("a").then(leave("a")), event: granted(),
		words: "Answered, nobody waits",
		want:  []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "granted, closing", start: askingFor("a").then(closeIn(second)), event: granted(),
		words: "Answered, nobody waits",
		want:  []string{"ask release 1, within 1s"}, to: "settling", look: second,
	},
	{
		name: "granted, too late to use", start: askingFor("a"), after: soundOf(ttl10), event: granted(),
		words: "Answered, granted too late",
		want:  []string{"ask release 1"}, to: "settling", look: 60*second - soundOf(ttl10),
	},
	{name: "held", start: askingFor("a"), event: held(), to: "asking", look: 300 * ms},
	{
		name: "held, no word when to ask again", start: askingFor("a"),
		event: held(func(_ *play, c *Call) { c.Reply.Retry = 0 }), to: "asking", look: ms,
	},
	{
		name: "held, a push came meanwhile", start: askingFor("a").then(woken(backends.Given)), event: held(),
		want: []string{acquire1 + ", probe 1"}, to: "asking", look: 60 * second,
	},
	{
		name: "held, after that push: it counts once", start: askingFor("a").then(woken(backends.Given), held()), event: held(),
		to: "asking", look: 300 * ms,
	},
	{
		name: "held, a push came before anybody waited", start: askingFor("a").then(leave("a"), woken(backends.Given), arrive("b")),
		event: held(), to: "asking", look: 300 * ms,
	},
	{
		name: "held, the pauses after failures begin anew", start: failing("a").then(wait(firstPauseAtHalf), tick, held(), wait(300*ms), tick),
		event: fails(silent), to: "asking", look: firstPauseAtHalf,
	},
	{
		name: "held, one try", start: askingFor("a", once), event: held(), words: "Answered, nothing is left",
		want: []string{"time out a: held"}, to: "free", look: never,
	},
	{
		name: "held, one try, and another waits", start: askingFor("a", once).then(arrive("b")), event: held(),
		want: []string{"time out a: held", acquire2}, to: "asking", look: 2 * second, // when a would have timed out
	},
	{
		name:  "held, one try, of an attempt that may be on its way from before",
		start: unheard.then(fails(silent)), event: held(), words: "Answered, nobody waits",
		want: []string{"time out b: held", "ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name:  "held, one try, of an attempt whose first request did not run",
		start: unheard.then(fails(silent, notRun)), event: held(), words: "Answered, nothing is left",
		want: []string{"time out b: held"}, to: "free", look: never,
	},
	{
		name:  "held, one try, of an attempt that is in the backend's queue",
		start: queuedAt("a").then(wait(300*ms), tick, leave("a"), wait(ms), arrive("b", once), fails(silent, notRun)),
		event: held(), words: "Answered, nobody waits",
		want: []string{"time out b: held", "ask cancel 1"}, to: "settling", look: never,
	},
	{
		name:  "held, one try, of the attempt after one that left traces",
		start: unheard.then(fails(settled)), event: held(), words: "Answered, nothing is left",
		want: []string{"time out b: held"}, to: "free", look: never,
	},
	{
		name: "held, one try behind one that waits", start: askingFor("a").then(arrive("b", once)), event: held(),
		want: []string{"time out b: held"}, to: "asking", look: 300 * ms,
	},
	{
		name: "held, nobody waits any more", start: askingFor("a").then(leave("a")), event: held(),
		words: "Answered, nobody waits",
		want:  []string{"ask cancel 1"}, to: "settling", look: never,
	},
	{name: "may have run", start: askingFor("a"), event: fails(silent), to: "asking", look: firstPauseAtHalf},
	{
		name: "may have run, by chance nearly twice as long", start: askingFor("a"), event: fails(silent, chance(0.96)),
		to: "asking", look: 5 * ms * 98 / 100,
	},
	{
		name: "did not run", start: askingFor("a"),
		event: fails(silent, notRun),
		to:    "asking", look: firstPauseAtHalf,
	},
	{name: "an outcome without a word", start: askingFor("a"), event: answer(done), to: "asking", look: firstPauseAtHalf},
	{name: "refused for now", start: askingFor("a"), event: fails(passing), to: "asking", look: firstPauseAtHalf},
	{
		name: "refused for good", start: askingFor("a").then(arrive("b")), event: fails(refused),
		words: "Answered, nobody waits",
		want: []string{
			"refuse a: unavailable, refused, wrong type", "refuse b: unavailable, refused, wrong type", "ask cancel 1, ambiguous",
		},
		to: "settling", look: never,
	},
	{
		name:  "may have run: the pause is longer than that of the attempt before, which nobody waited for",
		start: refusedAndLeft.then(arrive("b"), wait(firstPauseAtHalf), tick), event: fails(silent),
		to: "asking", look: 2 * firstPauseAtHalf,
	},
	{name: "settled", start: askingFor("a"), event: fails(settled), to: "asking", look: firstPauseAtHalf},
	{
		name: "settled, one try", start: askingFor("a", once), event: fails(settled), words: "Answered, nothing is left",
		want: []string{"time out a: silent: unavailable, settled"}, to: "free", look: never,
	},
	{
		name: "may have run, one try", start: askingFor("a", once), event: fails(silent), words: "Answered, nobody waits",
		want: []string{"time out a: silent: unavailable, cut", "ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "an outcome without a word, one try", start: askingFor("a", once), event: answer(done), words: "Answered, nobody waits",
		want: []string{"time out a: silent: unavailable", "ask cancel 1, ambiguous"}, to: "settling", look: never,
	},
	{
		name: "may have run, one try that came later", start: askingFor("a").then(wait(ms), arrive("b", once)),
		event: fails(silent),
		want:  []string{acquire1 + ", ambiguous"}, to: "asking", look: 2 * second,
	},
	{
		name: "may have run, the backend answers again", start: askingFor("a").then(woken(backends.Answering)),
		event: fails(silent),
		want:  []string{acquire1 + ", ambiguous"}, to: "asking", look: 60 * second,
	},
	{
		name: "a call that a panic forgot", start: forgotten.then(arrive("b")), event: late,
		want: []string{"undo acquire 1"}, to: "asking", look: 60 * second,
	},
}
