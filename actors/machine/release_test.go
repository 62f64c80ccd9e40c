package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// releaseRows are those of leased: what becomes of the key after a hold, and of
// requests to go on holding it.
var releaseRows = []row{
	{
		name: "nobody waits", start: leasedBy("a"), event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "nobody waits, and the lease ends soon", start: leasedBy("a", lasting(second)), event: release("a"),
		words: "Release, nobody waits",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: soundOf(leaseOf(second)),
	},
	{
		name: "nobody waits, and the lease has two minutes to go", start: leasedBy("a", lasting(5*time.Minute)),
		after: leaseOf(5*time.Minute) - backends.LongLease, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "nobody waits, and the lease has longer to go", start: leasedBy("a", lasting(5*time.Minute)),
		after: leaseOf(5*time.Minute) - backends.LongLease - 1, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1, long"}, to: "settling", look: 2 * second,
	},
	{
		name: "the lease lingers", start: start{lingers}.then(leasedBy("a")...), event: release("a"),
		want: []string{"finish a", "released a"}, to: "leased", look: second,
	},
	{
		name: "it lingers no longer than a Tenure, without wakes", start: start{lingers, noWakes}.then(leasedBy("a")...),
		event: release("a"),
		want:  []string{"finish a", "released a"}, to: "leased", look: 20 * ms,
	},
	{
		name:  "it doesn't linger, for another process waits",
		start: start{lingers, arrive("a"), granted(contended), taken}, event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "b waits", start: leasedBy("a").then(arrive("b")), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name:  "b waits, and its hold fits to the last ns",
		start: leasedBy("a").then(wait(100*ms), arrive("b", lasting(soundOf(ttl10)-100*ms))), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for " + (soundOf(ttl10) - 100*ms).String() + ", handed on"}, to: "leased",
	},
	{
		name: "b waits, and the lease is too short", start: leasedBy("a").then(arrive("b"), wait(600*ms)), event: release("a"),
		want: []string{"finish a", renew1(10500 * ms)}, to: "leased", look: 2 * second,
	},
	{
		name: "b waits, and the lease is in doubt", start: leasedBy("a").then(arrive("b"), wait(ms), woken(backends.Doubted)),
		event: release("a"),
		want:  []string{"finish a"}, to: "leased", look: 2 * second,
	},
	{
		name: "b waits, and the proof is new enough", start: start{failsOver}.then(leasedBy("a", lasting(20*second))...).then(arrive("b")),
		after: 500 * ms, event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name:  "b waits, and the proof is too old",
		start: start{failsOver}.then(leasedBy("a", lasting(20*second))...).then(arrive("b")), after: 500*ms + 1, event: release("a"),
		want: []string{"finish a", renew1(10500 * ms)}, to: "leased", look: 2 * second,
	},
	{
		name: "an old proof is good enough with wakes", start: leasedBy("a", lasting(20*second)).then(arrive("b")),
		after: 500*ms + 1, event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "handoff is turned off", start: start{noHandoff}.then(leasedBy("a")...).then(arrive("b")), event: release("a"),
		words: "Release, another's turn",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "another process waits, within the Tenure", start: contendedBy, after: 20*ms - 1, event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "another process waits, the Tenure is over", start: contendedBy, after: 20 * ms, event: release("a"),
		words: "Release, another's turn",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name:  "the Tenure counts from the push",
		start: leasedBy("a").then(arrive("b"), wait(15*ms), woken(backends.Wanted), wait(10*ms), woken(backends.Wanted)),
		after: 10 * ms, event: release("a"), words: "Release, another's turn",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name:  "a push during the call counts as well",
		start: askingFor("a").then(woken(backends.Wanted), granted(), taken, arrive("b")), after: 20 * ms, event: release("a"),
		words: "Release, another's turn",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "a call is under way", start: leasedBy("a").then(wait(renewAt), tick), event: release("a"),
		want: []string{"finish a"}, to: "leased", look: 2 * second,
	},
	{
		name: "of a revoked hold", start: revokedFrom, event: release("a"), words: "Release, another's turn",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name:  "of one of two, where nobody excludes",
		start: start{anybody}.then(leasedBy("a")...).then(arrive("b"), taken), event: release("a"),
		want: []string{"finish a", "released a"}, to: "leased", look: renewAt,
	},
	{
		name: "of a hold that is over", start: leasedBy("a"), after: 10 * second, event: release("a"), words: "Release, nobody waits",
		want: []string{"end a: expired", "released a: not held", "ask release 1"}, to: "settling",
		look: never,
	},
	{
		name: "its extension is answered, too", start: leasedBy("a").then(extend("a", 20*second)), event: release("a"),
		want: []string{"extended a: not held", "finish a"}, to: "leased", look: 2 * second,
	},
	{name: "an offer is open", start: offeredTo("a"), event: release("a"), wrong: true},
	{
		name: "the lease is long enough", start: leasedBy("a"), after: 500 * ms, event: extend("a", 10*second),
		want: []string{"move a to 10s", "extended a"}, to: "leased", look: renewAt - 500*ms,
	},
	{
		name: "it never ends earlier", start: leasedBy("a"), after: 500 * ms, event: extend("a", second),
		want: []string{"extended a"}, to: "leased", look: renewAt - 500*ms,
	},
	{
		name: "as long as it is", start: leasedBy("a"), event: extend("a", 10*second),
		want: []string{"extended a"}, to: "leased", look: renewAt,
	},
	{
		name: "as long as the lease", start: leasedBy("a"), event: extend("a", soundOf(ttl10)),
		want: []string{"move a to " + soundOf(ttl10).String(), "extended a"}, to: "leased", look: renewAt,
	},
	{
		name: "up to its MaxHold", start: leasedBy("a", renewed, upTo(15*second)), event: extend("a", 15*second),
		want: []string{renew1(15500 * ms)}, to: "leased", look: 2 * second,
	},
	{
		name: "the lease is too short", start: leasedBy("a"), event: extend("a", 20*second),
		want: []string{renew1(20500 * ms)}, to: "leased", look: 2 * second,
	},
	{
		name: "the lease is in doubt", start: leasedBy("a").then(wait(ms), woken(backends.Doubted)), event: extend("a", second),
		to: "leased", look: 2 * second,
	},
	{
		name: "beyond its MaxHold", start: leasedBy("a", renewed, upTo(15*second)), event: extend("a", 15*second+1),
		want: []string{"extended a: invalid"}, to: "leased", look: firstRenewal(10 * second),
	},
	{
		name: "it waits no longer than the hold lasts", start: leasedBy("a", lasting(second)).then(wait(firstRenewal(leaseOf(second))), tick),
		event: extend("a", 20*second), to: "leased", look: second - firstRenewal(leaseOf(second)),
	},
	{
		name: "of a hold that is over", start: leasedBy("a", lasting(second)).then(arrive("b", lasting(100*ms))), after: second,
		event: extend("a", ms),
		want:  []string{"end a: expired", "extended a: not held", "offer b 101.1 for 100ms, handed on"}, to: "leased",
	},
	{
		name: "of a revoked hold", start: revokedFrom, event: extend("a", second),
		want: []string{"extended a: " + "not held, revoked"}, to: "leased", look: second,
	},
	{
		name: "a set is there", start: leasedBy("a", renewed), after: 500 * ms, event: restart("a", 10*second),
		want: []string{"move a to 10s", "extended a"}, to: "leased", look: renewAt - 500*ms,
	},
	{
		name: "a set is there, up to its MaxHold", start: leasedBy("a", renewed), after: 500 * ms, event: restart("a", second, renewed, upTo(second)),
		want: []string{"move a to 1s", "extended a"}, to: "leased", look: second,
	},
	{
		name: "a set is there, whose lease is too short", start: leasedBy("a", renewed), after: 510 * ms, event: restart("a", 10*second),
		want: []string{renew1(10500 * ms)}, to: "leased", look: 2 * second,
	},
	{
		name: "a check asks at once, and shortens nothing", start: leasedBy("a").then(wait(ms)), event: check("a"),
		want: []string{"ask renew 1 for " + ttlOf(soundOf(ttl10)-ms).String() + " over 101"},
		to:   "leased", look: 2 * second,
	},
	{
		name: "a check ends a pause", start: leasedBy("a").then(wait(renewAt), tick, fails(silent)), event: check("a"),
		want: []string{"ask renew 1 for " + ttlOf(soundOf(ttl10)-renewAt).String() + " over 101, ambiguous"}, to: "leased", look: 2 * second,
	},
	{name: "an offer is open", start: offeredTo("a"), event: extend("a", second), wrong: true},
	{
		name: "somebody has it", start: leasedBy("a"), event: disown(0), words: "Disown",
		want: []string{"revoke a: " + told, "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "the hold is over", start: leasedBy("a"), after: 10 * second, event: disown(0), words: "Disown",
		want: []string{"end a: expired", "ask release 1"}, to: "settling", look: soundOf(ttl10) - 10*second,
	},
	{
		name: "by the base that it minted", start: leasedBy("a"), event: disown(101), words: "Disown",
		want: []string{"revoke a: " + told, "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "it lingers, which is free to those who ask here", start: lingering, event: disown(0),
		want: []string{"disowned nothing"}, to: "leased", look: second,
	},
	{
		name: "somebody waits, too", start: leasedBy("a").then(arrive("b")), event: disown(0), words: "Disown",
		want: []string{"revoke a: " + told, "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "a call is under way", start: leasedBy("a").then(wait(renewAt), tick), event: disown(0),
		want: []string{"revoke a: " + told}, to: "leased", look: 2 * second,
	},
	{
		name: "it was told before", start: revokedFrom, event: disown(0), words: "Disown",
		want: []string{"ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "of a later lease", start: leasedBy("a"), event: disown(102),
		want: []string{"disowned nothing"}, to: "leased", look: renewAt,
	},
	{
		name: "of an earlier lease", start: leasedBy("a"), event: disown(100),
		want: []string{"disowned nothing"}, to: "leased", look: renewAt,
	},
	{name: "an offer is open", start: offeredTo("a"), event: disown(0), wrong: true},
}
