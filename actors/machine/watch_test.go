package machine

import "github.com/turnstile-go/turnstile/backends"

// watched: a has the key, and wants to know when others wait.
var watched = leasedBy("a").then(watch("a"))

// watchRows are those of holders that want to know when others wait for the key.
var watchRows = []row{
	{name: "nobody waits", start: leasedBy("a"), event: watch("a"), to: "leased", look: renewAt},
	{
		name: "somebody waits already", start: leasedBy("a").then(arrive("b")), event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name: "somebody waited before", start: leasedBy("a").then(arrive("b"), leave("b")), event: watch("a"),
		to: "leased", look: renewAt,
	},
	{
		name: "somebody waited at the grant", start: start{arrive("a"), arrive("b"), granted(), taken}, event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name: "the key was handed on, and nobody waits any more", start: leasedBy("a").then(arrive("b"), release("a"), taken),
		event: watch("b"), to: "leased", look: renewAt,
	},
	{
		name: "another process waited at the grant", start: start{arrive("a"), granted(contended), taken}, event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name:  "a push said so before the grant",
		start: askingFor("a").then(woken(backends.Wanted), granted(), taken), event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name: "where nobody excludes, nobody waits", start: start{anybody, arrive("a"), granted(contended), taken}, event: watch("a"),
		to: "leased", look: renewAt,
	},
	{
		name: "its hold had ended, and the lease lingers", start: lingering, event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: second,
	},
	{
		name: "its hold was revoked, and has not been released", start: revokedFrom.then(leave("b")), event: watch("a"),
		want: []string{"wanted a"}, to: "leased", look: left,
	},
	{name: "an offer is open", start: offeredTo("a"), event: watch("a"), wrong: true},
	{
		name: "its hold had ended", start: releasing.then(answer(done)), event: watch("a"),
		want: []string{"wanted a"}, to: "free", look: never,
	},
	{
		name: "its hold had ended, and b waits", start: releasing.then(arrive("b"), answer(done)), event: watch("a"),
		want: []string{"wanted a"}, to: "asking", look: 60 * second,
	},
	{
		name: "its hold has ended", start: releasing, event: watch("a"),
		want: []string{"wanted a"}, to: "settling", look: 2 * second,
	},

	{
		name: "it is watched", start: watched, event: arrive("b"),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name: "it is watched, and the next hold is longer", start: watched, event: arrive("b", lasting(60*second)),
		want: []string{"wanted a", renew1(60500 * ms)}, to: "leased", look: 10 * second,
	},
	{
		name: "it is watched, and was wanted before", start: watched.then(arrive("b")), event: arrive("c"),
		to: "leased", look: renewAt,
	},
	{
		name: "it is watched, and one try doesn't wait", start: watched, event: arrive("b", once),
		want: []string{"time out b: held"}, to: "leased", look: renewAt,
	},
	{
		name: "it is watched, and too many wait", start: watched.then(set(func(c *Config) { c.MaxWaiters = 0 })), event: arrive("b"),
		want: []string{"refuse b: overloaded"}, to: "leased", look: renewAt,
	},
	{
		name: "it is watched", start: watched, event: woken(backends.Wanted),
		want: []string{"wanted a"}, to: "leased", look: renewAt,
	},
	{
		name: "it is watched, and was wanted before", start: watched.then(arrive("b")), event: woken(backends.Wanted),
		to: "leased", look: renewAt,
	},
	{name: "others hold it too", start: start{anybody}.then(leasedBy("a")...).then(watch("a")), event: woken(backends.Wanted), to: "leased", look: renewAt},
	{
		name: "renewed, and another process waits", start: watched.then(wait(renewAt), tick), event: granted(contended),
		want: []string{"wanted a"}, to: "leased", look: laterRenewal(ttlOf(left + 500*ms)),
	},
	{
		name: "it is watched, and goes to b", start: watched.then(arrive("b")), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
}
