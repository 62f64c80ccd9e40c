package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// renew1 is the renewal of a lease that has to last that long.
func renew1(need time.Duration) string {
	return "ask renew 1 for " + ttlOf(need).String() + " over 101"
}

const told = "lost, not held, revoked" // what a revoked hold's Context says

var (
	// renewAt is when a new lease for a hold of 10 s is first renewed.
	renewAt = firstRenewal(ttl10)
	// unproved: b waits for a renewal, which was not answered; nobody holds the key.
	unproved = start{lingers}.then(leasedBy("a")...).then(release("a"), arrive("b", lasting(20*second)), fails(silent))
	// doubtful: granted, but a doubt has to be cleared before anybody gets the key.
	doubtful = askingFor("a").then(wait(ms), woken(backends.Doubted), granted())
	// revokedFrom: a has been told to stop, and has not yet; b waits.
	revokedFrom = leasedBy("a").then(wait(renewAt), tick, fails(backends.ErrRevoked), arrive("b"))
	// contendedBy: a has the key, b waits here, and another process waits too.
	contendedBy = start{arrive("a"), granted(contended), taken, arrive("b")}
)

var leasedRows = []row{
	{name: "somebody has it", start: leasedBy("a"), event: arrive("b"), to: "leased", look: renewAt},
	{
		name: "one try doesn't wait behind a holder", start: leasedBy("a"), event: arrive("b", once),
		want: []string{"time out b: held"}, to: "leased", look: renewAt,
	},
	{
		name: "a longer hold, renewed for ahead of time", start: leasedBy("a"), event: arrive("b", lasting(60*second)),
		want: []string{renew1(60500 * ms)}, to: "leased", look: 10 * second,
	},
	{
		name: "a hold that just fits", start: leasedBy("a").then(wait(250 * ms)), event: arrive("b"),
		to: "leased", look: renewAt - 250*ms,
	},
	{
		name: "less than half of the slack is left", start: leasedBy("a").then(wait(252 * ms)), event: arrive("b"),
		want: []string{renew1(10500 * ms)}, to: "leased", look: 10*second - 252*ms,
	},
	{
		name: "the lease lingers", start: lingering, event: arrive("b"),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "one try, and the lease lingers", start: lingering, event: arrive("b", once),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "the lease lingers, too short", start: lingering, event: arrive("b", lasting(20*second)),
		want: []string{renew1(21500 * ms)}, to: "leased", look: 60 * second,
	},
	{
		name: "no lingering lease may be handed on in doubt", start: lingering.then(wait(ms), woken(backends.Doubted)),
		event: arrive("b"),
		want:  []string{renew1(11500 * ms)}, to: "leased", look: 60 * second,
	},
	{
		name: "others hold it too, where nobody excludes", start: start{anybody}.then(leasedBy("a")...), event: arrive("b"),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "too many wait", start: leasedBy("a").then(arrive("b"), set(func(c *Config) { c.MaxWaiters = 1 })),
		event: arrive("c"),
		want:  []string{"refuse c: overloaded"}, to: "leased", look: renewAt,
	},
	{
		name: "closing", start: leasedBy("a").then(wait(renewAt), tick, closeIn(second)), event: arrive("b"),
		want: []string{"refuse b: closed"}, to: "leased", look: second,
	},
	{name: "an offer is open", start: offeredTo("a"), event: arrive("b"), wrong: true},
	{name: "somebody has it", start: leasedBy("a").then(arrive("b")), event: leave("b"), to: "leased", look: renewAt},
	{
		name: "the last, and nobody has it", start: doubtful.then(fails(silent)), event: leave("a"),
		words: "Leave, by the last",
		want:  []string{"ask release 1, ambiguous"}, to: "settling", look: never,
	},
	{name: "a call is under way", start: doubtful, event: leave("a"), to: "leased", look: never},
	{name: "an offer is open", start: offeredTo("a"), event: leave("a"), wrong: true},
	{name: "the key is a's", start: offeredTo("a"), event: taken, to: "leased", look: renewAt},
	{
		name: "a's release is answered", start: leasedBy("a").then(arrive("b"), release("a")), event: taken,
		want: []string{"released a"}, to: "leased", look: renewAt,
	},
	{
		name:  "the next is offered it at once, where nobody excludes",
		start: start{anybody}.then(askingFor("a")...).then(arrive("b"), granted()), event: taken,
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "one try behind it can't have it any more", start: askingFor("a").then(arrive("b", once), granted()),
		event: taken,
		want:  []string{"time out b: held"}, to: "leased", look: renewAt,
	},
	{
		name:  "nor is a longer lease asked for, for one try",
		start: askingFor("a").then(arrive("b", once, lasting(60*second)), granted()), event: taken,
		want: []string{"time out b: held"}, to: "leased", look: renewAt,
	},
	{
		name:  "a longer lease is asked for after that, for the next",
		start: askingFor("a").then(arrive("b", once, lasting(60*second)), arrive("c", lasting(60*second)), granted()), event: taken,
		want: []string{"time out b: held", renew1(60500 * ms)}, to: "leased", look: 2 * second, // when b would have timed out
	},
	{name: "no offer is open", start: leasedBy("a"), event: taken, wrong: true},
	{
		name: "the next is offered the same", start: offeredTo("a").then(), event: withdrawn,
		words: "Withdrawn, nobody waits",
		want:  []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the next is offered the same", start: askingFor("a").then(arrive("b"), granted()), event: withdrawn,
		want: []string{"offer b 101.0 for 10s"}, to: "leased",
	},
	{
		name: "the lease lingers", start: start{lingers}.then(leasedBy("a")...).then(arrive("b"), release("a")),
		event: withdrawn,
		want:  []string{"released a"}, to: "leased", look: second,
	},
	{name: "no offer is open", start: leasedBy("a"), event: withdrawn, wrong: true},
	{name: "nobody awaits a push", start: leasedBy("a"), event: woken(backends.Given), to: "leased", look: renewAt},
	{name: "somebody has it", start: leasedBy("a"), event: woken(backends.Wanted), to: "leased", look: renewAt},
	{
		name: "the lease lingers", start: lingering, event: woken(backends.Wanted), words: "Woken, while it lingers",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the lease is proved", start: leasedBy("a").then(wait(ms)), event: woken(backends.Doubted),
		want: []string{renew1(10500*ms - ms)}, to: "leased", look: 10*second - ms,
	},
	{
		name: "the lease is proved in spite of a pause", start: leasedBy("a").then(wait(renewAt), tick, fails(silent)),
		event: woken(backends.Doubted),
		want:  []string{renew1(10500*ms-renewAt) + ", ambiguous"}, to: "leased", look: 10*second - 25*ms - renewAt,
	},
	{name: "the lease lingers", start: lingering.then(wait(ms)), event: woken(backends.Doubted), to: "leased", look: 999 * ms},
	{
		name: "the lease is proved", start: leasedBy("a").then(wait(ms)), event: woken(backends.Revoking),
		want: []string{renew1(10500*ms - ms)}, to: "leased", look: 10*second - ms,
	},
	{
		name: "the lease lingers", start: lingering.then(wait(ms)), event: woken(backends.Revoking), words: "Woken, while it lingers",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "ends a pause", start: leasedBy("a").then(wait(renewAt), tick, fails(silent)), event: woken(backends.Answering),
		want: []string{renew1(10500*ms-renewAt) + ", ambiguous"}, to: "leased", look: 10*second - 25*ms - renewAt,
	},
	{name: "nothing had failed", start: leasedBy("a"), event: woken(backends.Answering), to: "leased", look: renewAt},
}
