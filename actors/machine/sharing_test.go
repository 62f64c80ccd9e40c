package machine

import "github.com/turnstile-go/turnstile/backends"

func reading(s *Spec) { s.Kind = backends.Shared }
func slot(n int32) func(*Spec) {
	return func(s *Spec) { s.Kind, s.N = backends.Slots, n }
}

func downgrade(name string) deed {
	return func(p *play) Event {
		p.extensions = append(p.extensions, &Extension{Hold: p.hold(name)})
		return Downgrade{p.extensions[len(p.extensions)-1]}
	}
}

// within: name wants the key, and its caller has it by the hold of another name.
func within(parent, name string, options ...func(*Spec)) deed {
	return func(p *play) Event {
		p.hold(name).Within = p.hold(parent)
		return arrive(name, options...)(p)
	}
}

// shared: what was asked for is there, or was renewed, as a share of as many permits as were wanted.
func shared(with ...func(*play, *Call)) deed {
	return granted(append([]func(*play, *Call){func(_ *play, c *Call) {
		c.Reply.Kind, c.Reply.Permits = c.Kind, max(int(c.Want), 1)
	}}, with...)...)
}

func permits(n int) func(*play, *Call) { return func(_ *play, c *Call) { c.Reply.Permits = n } }

// with puts a deed before all others.
func (s start) with(first deed) start { return append(start{first}, s...) }

var (
	// sharedBy: name reads.
	sharedBy = func(name string, o ...func(*Spec)) start {
		return start{arrive(name, append(o, reading)...), shared(), taken}
	}
	// slotOf: name has a slot, one of n.
	slotOf = func(name string, n int32, o ...func(*Spec)) start {
		return start{arrive(name, append(o, slot(n))...), shared(), taken}
	}
	// beside: a reads, and b waits to write, first in the backend's queue.
	beside = sharedBy("a").then(arrive("b"), held())
	// sharedLingering: a has read, and the share stays for a second.
	sharedLingering = append(start{lingers}, sharedBy("a").then(release("a"))...)
	// timesUp: a reads, others wait since a Tenure, so nobody joins any more.
	timesUp = start{arrive("a", reading), shared(contended), taken, wait(20 * ms)}

	acquireShared2 = "ask acquire 2 shared for " + ttl10.String()
)

// sharingRows are those of who comes and goes while there are shares.
var sharingRows = []row{
	{
		name: "a share, as it was asked for", start: askingFor("a", reading), event: shared(), words: "Answered, granted a share",
		want: []string{"offer a 101.0 for 10s"}, to: "sharing",
	},
	{name: "a reads", start: start{arrive("a", reading), shared()}, event: taken, to: "sharing", look: renewAt},
	{
		name: "nobody takes it, and it goes back", start: start{arrive("a", reading), shared()}, event: withdrawn,
		want: []string{"ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "a reader joins, with no call", start: sharedBy("a"), event: arrive("b", reading),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "one try joins", start: sharedBy("a"), event: arrive("b", reading, once),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "a longer hold joins once its share was renewed", start: sharedBy("a"), event: arrive("b", reading, lasting(60*second)),
		want: []string{"ask renew 1 shared for " + ttlOf(60500*ms).String() + " over 101"}, to: "sharing", look: 10 * second,
	},
	{
		name: "a writer asks while its process reads (asksHolding)", start: sharedBy("a"), event: arrive("b"),
		want: []string{acquire2}, to: "sharing", look: 10 * second,
	},
	{
		name: "one that tries to write does not", start: sharedBy("a"), event: arrive("b", once),
		want: []string{"time out b: held"}, to: "sharing", look: renewAt,
	},
	{name: "a reader behind a writer waits (L3)", start: beside, event: arrive("c", reading), to: "sharing", look: 300 * ms},
	{
		name: "one that tries to read does not wait behind a writer", start: beside, event: arrive("c", reading, once),
		want: []string{"time out c: held"}, to: "sharing", look: 300 * ms,
	},
	{
		name: "others wait, within the Tenure", start: start{arrive("a", reading), shared(contended), taken, wait(20*ms - 1)}, event: arrive("b", reading),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "others wait since a Tenure: it asks for its turn (L4)", start: timesUp, event: arrive("b", reading),
		want: []string{acquireShared2}, to: "sharing", look: 10*second - 20*ms,
	},
	{
		name: "each hold has its own share where handoff is turned off", start: sharedBy("a").with(noHandoff), event: arrive("b", reading),
		want: []string{acquireShared2}, to: "sharing", look: 10 * second,
	},
	{
		name: "it lingers, and a reader comes", start: sharedLingering, event: arrive("b", reading),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "it lingers, and a writer comes", start: sharedLingering, event: arrive("b"),
		want: []string{"ask release 1 shared"}, to: "sharing", look: 60 * second,
	},
	{
		name: "it lingers, and one tries to write", start: sharedLingering, event: arrive("b", once),
		want: []string{"ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "it lingered, and somebody else has it", start: sharedLingering.then(given), event: arrive("b", reading),
		want: []string{"ask release 1 shared"}, to: "sharing", look: 60 * second,
	},
	{
		name: "the writer that waited", start: beside, event: leave("b"),
		want: []string{"ask cancel 2"}, to: "sharing", look: 10 * second,
	},
	{
		name: "the writer that waited, and readers behind it", start: beside.then(arrive("c", reading)), event: leave("b"),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name:  "the reader has joined, and nobody waits for what the other asked for",
		start: beside.then(arrive("c", reading), leave("b")), event: taken, want: []string{"ask cancel 2"}, to: "sharing", look: 10 * second,
	},
	{name: "one of two", start: sharedBy("a").then(arrive("b", reading), taken), event: release("a"),
		want: []string{"finish a", "released a"}, to: "sharing", look: renewAt},
	{
		name: "the last", start: sharedBy("a"), event: release("a"),
		want: []string{"finish a", "ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "the last, and it lingers", start: sharedBy("a").with(lingers), event: release("a"),
		want: []string{"finish a", "released a"}, to: "sharing", look: second,
	},
	{
		name: "the last, and others wait", start: start{lingers, arrive("a", reading), shared(contended), taken}, event: release("a"),
		want: []string{"finish a", "ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "the last, and a writer waits here", start: beside, event: release("a"),
		want: []string{"finish a", "ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "one that has ended", start: sharedLingering, event: release("a"),
		want: []string{"released a: not held"}, to: "sharing", look: second,
	},
	{
		name: "long enough already", start: sharedBy("a"), event: extend("a", 10*second),
		want: []string{"extended a"}, to: "sharing", look: renewAt,
	},
	{
		name: "a renewal for it", start: sharedBy("a"), event: extend("a", 20*second),
		want: []string{"ask renew 1 shared for " + ttlOf(20500*ms).String() + " over 101"}, to: "sharing", look: 2 * second,
	},
	{name: "nobody else waits", start: sharedBy("a"), event: watch("a"), to: "sharing", look: renewAt},
	{
		name: "a writer waits here", start: beside, event: watch("a"),
		want: []string{"wanted a"}, to: "sharing", look: 300 * ms,
	},
	{
		name: "another process waits", start: start{arrive("a", reading), shared(contended), taken}, event: watch("a"),
		want: []string{"wanted a"}, to: "sharing", look: renewAt,
	},
	{
		name: "a share, by its base", start: sharedBy("a"), event: disown(101),
		want: []string{"revoke a: lost, not held, revoked", "ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "another base", start: sharedBy("a"), event: disown(100),
		want: []string{"disowned nothing"}, to: "sharing", look: renewAt,
	},
	{
		name: "a base between its first and its newest (revokesOne)", start: sharedBy("a").then(extend("a", 20*second), shared(), extend("a", 40*second), shared()), event: disown(102),
		want: []string{"disowned nothing"}, to: "sharing", look: laterRenewal(ttlOf(40500 * ms)),
	},
	{
		name: "to those who ask here, what lingers is free", start: sharedLingering, event: disown(0),
		want: []string{"disowned nothing"}, to: "sharing", look: second,
	},
	{
		name: "the writer may have the key", start: beside, event: woken(backends.Given),
		want: []string{acquire2 + ", probe 1"}, to: "sharing", look: 10 * second,
	},
	{name: "nobody asks", start: sharedBy("a"), event: woken(backends.Given), to: "sharing", look: renewAt},
	{name: "another process waits", start: sharedBy("a"), event: woken(backends.Wanted), to: "sharing", look: renewAt},
	{
		name: "another process waits, and it lingers (B15)", start: sharedLingering, event: woken(backends.Wanted),
		want: []string{"ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "it is watched", start: sharedBy("a").then(watch("a")), event: woken(backends.Wanted),
		want: []string{"wanted a"}, to: "sharing", look: renewAt,
	},
	{
		name: "it has to be proved", start: sharedBy("a").then(wait(ms)), event: woken(backends.Doubted),
		want: []string{"ask renew 1 shared for " + ttlOf(10499*ms).String() + " over 101"}, to: "sharing", look: 10*second - ms,
	},
	{
		name: "it may be revoked", start: sharedBy("a").then(wait(ms)), event: woken(backends.Revoking),
		want: []string{"ask renew 1 shared for " + ttlOf(10499*ms).String() + " over 101"}, to: "sharing", look: 10*second - ms,
	},
	{
		name: "what lingers may be revoked", start: sharedLingering, event: woken(backends.Revoking),
		want: []string{"ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "an ask is tried again", start: sharedBy("a").then(arrive("b"), fails(silent)), event: woken(backends.Answering),
		want: []string{acquire2 + ", ambiguous"}, to: "sharing", look: 10 * second,
	},
	{
		name: "an end is tried again", start: sharedBy("a").then(release("a"), fails(silent)), event: woken(backends.Answering),
		want: []string{"ask release 1 shared, ambiguous"}, to: "sharing", look: 2 * second,
	},
	{
		name: "a push is no grant beside shares", start: beside, event: gave(),
		want: []string{acquire2 + ", probe 1"}, to: "sharing", look: 10 * second,
	},
	{name: "the ask of the writer is repeated", start: beside, event: repeated(5), to: "sharing", look: 300 * ms},
}
