package machine

import (
	"slices"
	"strconv"

	"github.com/turnstile-go/turnstile/backends"
)

var (
	// ridden: a, who wrote, has let go, and b reads under the same lock.
	ridden = leasedBy("a").then(arrive("b", reading), release("a"), taken)
	// turning: the lock of a, who goes on reading, is to become a share.
	turning = leasedBy("a").then(downgrade("a"))
	// turn1 is the renewal that says so, of a lease that is for 10 s and new.
	turn1 = "ask renew 1 shared for " + ttl10.String() + " over 101"
	// crowded: as many have slots under one lock as a share can have permits.
	crowded = leasedBy("a").then(slotsFor(backends.MostWanted)...).then(release("a")).then(slices.Repeat(start{taken}, backends.MostWanted)...)
)

// slotsFor has so many arrive that want slots.
func slotsFor(n int) (all start) {
	for i := range n {
		all = append(all, arrive("b"+strconv.Itoa(i), slot(100)))
	}
	return all
}

// turnRows are those of a lock that carries holds of other kinds, and becomes a share.
var turnRows = []row{
	{
		name: "a reader follows a writer, with no call", start: leasedBy("a").then(arrive("b", reading)), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{name: "a reader follows a writer", start: leasedBy("a").then(arrive("b", reading), release("a")), event: taken,
		want: []string{"released a"}, to: "leased", look: 20 * ms},
	{
		name: "another joins it", start: ridden, event: arrive("c", reading),
		want: []string{"offer c 101.2 for 10s, handed on"}, to: "leased",
	},
	{name: "a slot does not", start: ridden, event: arrive("c", slot(2)), to: "leased", look: 20 * ms},
	{name: "a writer waits", start: ridden, event: arrive("c"), to: "leased", look: 20 * ms},
	{name: "one try does not", start: ridden, event: arrive("c", once), want: []string{"time out c: held"}, to: "leased", look: 20 * ms},
	{
		name: "the next writer follows, with no call", start: ridden.then(arrive("c")), event: release("b"),
		want: []string{"finish b", "offer c 101.2 for 10s, handed on"}, to: "leased",
	},
	{
		name: "the last of them", start: ridden, event: release("b"), words: "Release, nobody waits",
		want: []string{"finish b", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "as many slots as each says (ridesWithin)", start: leasedBy("a").then(arrive("b", slot(1)), release("a"), taken), event: arrive("c", slot(1)),
		to: "leased", look: 20 * ms,
	},
	{
		name: "fewer slots than each says", start: leasedBy("a").then(arrive("b", slot(1)), release("a"), taken), event: arrive("c", slot(2)),
		want: []string{"offer c 101.2 for 10s, handed on"}, to: "leased",
	},
	{
		name: "others wait (turnsWanted)", start: ridden, event: woken(backends.Wanted), words: "Woken, it carries holds of another kind",
		want: []string{turn1}, to: "sharing", look: 10 * second,
	},
	{
		name: "others may want to come in (turnsInTime)", start: ridden, after: 20 * ms, event: tick,
		words: "Tick, it carries holds of another kind", want: []string{"ask renew 1 shared for " + ttlOf(10480*ms).String() + " over 101"},
		to: "sharing", look: 9980 * ms,
	},
	{
		name: "others waited at the grant", start: leasedBy("a").then(arrive("b", reading), woken(backends.Wanted), release("a")), event: taken,
		words: "Taken, it carries holds of another kind", want: []string{"released a", turn1}, to: "sharing", look: 10 * second,
	},
	{
		name: "two slots turn, the larger word binds", start: leasedBy("a").then(arrive("b", slot(1)), arrive("c", slot(3)), release("a"), taken, taken),
		event: woken(backends.Wanted), words: "Woken, it carries holds of another kind",
		want: []string{"ask renew 1 slots 2 of 3 for " + ttl10.String() + " over 101"}, to: "sharing", look: 10 * second,
	},
	{
		name: "no more slots ride than a share has permits: it turns, and they ask for more", start: crowded, event: arrive("c", slot(100)),
		words: "Arrive, it carries as many slots as a share can", want: []string{"ask renew 1 slots 64 of 100 for " + ttl10.String() + " over 101"},
		to: "sharing", look: 10 * second,
	},
	{
		name: "… by another attempt", start: crowded.then(arrive("c", slot(100))), event: shared(permits(backends.MostWanted)),
		want: []string{"ask acquire 2 slots 1 of 100 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},

	{
		name: "a writer goes on reading", start: leasedBy("a"), event: downgrade("a"), words: "Downgrade",
		want: []string{turn1}, to: "sharing", look: 2 * second,
	},
	{
		name: "a reader of its process comes in at once", start: leasedBy("a").then(arrive("b", reading)), event: downgrade("a"),
		want: []string{"offer b 101.1 for 10s, handed on"}, to: "leased",
	},
	{
		name: "a renewal is under way", start: renewing, event: downgrade("a"), to: "leased", look: 2 * second,
	},
	{
		name: "the renewal that was under way is answered", start: renewing.then(downgrade("a")), event: granted(), words: "Answered, it carries holds of another kind",
		want: []string{"ask renew 1 shared for " + ttlOf(left+500*ms).String() + " over 102"}, to: "sharing", look: 2 * second,
	},
	{
		name: "it had ended", start: releasing, event: downgrade("a"), want: []string{"extended a: not held"}, to: "settling", look: 2 * second,
	},
	{name: "it had ended long ago", start: releasing.then(answer(done)), event: downgrade("a"), want: []string{"extended a: not held"}, to: "free", look: never},
	{
		name: "it had ended, and b waits", start: releasing.then(arrive("b"), answer(done)), event: downgrade("a"),
		want: []string{"extended a: not held"}, to: "asking", look: 60 * second,
	},
	{
		name: "a backend without kinds", start: leasedBy("a").with(noKinds), event: downgrade("a"),
		want: []string{"extended a: invalid"}, to: "leased", look: renewAt,
	},
	{name: "a slot hold", start: slotOf("a", 1), event: downgrade("a"), want: []string{"extended a: invalid"}, to: "sharing", look: renewAt},
	{
		name: "one that is to rest", start: leasedBy("a", resting(second)), event: downgrade("a"),
		want: []string{"extended a: invalid"}, to: "leased", look: renewAt,
	},
	{name: "a shared one is", start: sharedBy("a"), event: downgrade("a"), want: []string{"extended a"}, to: "sharing", look: renewAt},
	{
		name: "answered", start: turning, event: shared(), want: []string{"extended a"}, to: "sharing", look: laterRenewal(ttl10),
	},
	{name: "twice before it is answered", start: turning, event: downgrade("a"), to: "sharing", look: 2 * second},
	{
		name: "not answered: each renewal says it (downgradeStays)", start: turning.then(fails(silent), wait(firstPauseAtHalf)), event: tick,
		want: []string{"ask renew 1 shared for " + ttlOf(10500*ms-firstPauseAtHalf).String() + " over 101, ambiguous"}, to: "sharing",
		look: 2*second - firstPauseAtHalf,
	},
	{
		name: "not answered for 2 s", start: turning.then(fails(silent), wait(firstPauseAtHalf), tick, wait(2*second-firstPauseAtHalf)), event: fails(silent),
		want: []string{"extended a: unavailable, cut"}, to: "sharing", look: 2 * firstPauseAtHalf,
	},
	{
		name: "not answered, and a writer comes: it asks, and gets nothing of what is here (sharedFromSent)", start: turning.then(fails(silent)),
		event: arrive("b"), want: []string{acquire2}, to: "sharing", look: 2 * second,
	},
	{
		name: "… nor when its reader has gone", start: turning.then(fails(silent), arrive("b"), held()), event: release("a"),
		want: []string{"extended a: not held", "finish a", "ask release 1 shared, ambiguous"}, to: "sharing", look: 2 * second,
	},
	{
		name: "not answered, and released", start: turning.then(fails(silent)), event: release("a"),
		want: []string{"extended a: not held", "finish a", "ask release 1 shared, ambiguous"}, to: "sharing", look: 2 * second,
	},
	{
		name:  "not answered, and the next share is granted: its renewal will tell",
		start: turning.then(fails(silent), woken(backends.Wanted), wait(ms), set(func(c *Config) { c.Tenure = 0 }), arrive("b", reading)), event: shared(),
		want: []string{"offer b 102.0 for 10s"}, to: "sharing",
	},
	{
		name: "the share of a free key may be a lock", start: askingFor("a", reading), event: granted(), words: "Answered, granted a share",
		want: []string{"offer a 101.0 for 10s"}, to: "sharing",
	},
	{name: "… which others can't join", start: start{arrive("a", reading), granted()}, event: taken, to: "sharing", look: 20 * ms},
	{
		name: "… so it turns once they wait", start: start{arrive("a", reading), granted(), taken}, event: woken(backends.Wanted),
		want: []string{turn1}, to: "sharing", look: 10 * second,
	},
	{
		name: "… or in a Tenure", start: start{arrive("a", reading), granted(), taken}, after: 20 * ms, event: tick,
		want: []string{"ask renew 1 shared for " + ttlOf(10480*ms).String() + " over 101"}, to: "sharing", look: 9980 * ms,
	},
	{
		name: "… and as many slots as were wanted are in it", start: releasing.then(arrive("b", slot(2)), arrive("c", slot(2)), answer(done), granted(), taken),
		event: taken, to: "sharing", look: 20 * ms,
	},
}

var noKinds = set(func(c *Config) { c.Can.Kinds = false })

// nestedRows are those of acquires whose callers have the key.
var nestedRows = []row{
	{
		name: "a reader's callee reads, past the writer that waits", start: beside, event: within("a", "c", reading),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "… though others wait since a Tenure", start: timesUp, event: within("a", "c", reading),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "… but not before its lease was proved", start: beside.then(wait(ms), woken(backends.Doubted)), event: within("a", "c", reading),
		to: "sharing", look: 10*second - ms,
	},
	{
		name: "… once it was", start: beside.then(wait(ms), woken(backends.Doubted), within("a", "c", reading)), event: shared(),
		want: []string{"offer c 102.0 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "… the writer keeps its place while the proof fails", start: beside.then(wait(ms), woken(backends.Doubted), within("a", "c", reading)),
		event: fails(silent), to: "sharing", look: firstPauseAtHalf,
	},
	{
		name:  "… and asks for itself",
		start: beside.then(wait(299*ms), woken(backends.Doubted), within("a", "c", reading, lasting(60*second)), wait(300*ms)), event: fails(silent),
		want: []string{acquire2 + ", probe 1"}, to: "sharing", look: 10*second - 599*ms - proofEnds,
	},
	{
		name: "its callee wants to write", start: sharedBy("a"), event: within("a", "c"),
		want: []string{"refuse c: deadlock"}, to: "sharing", look: renewAt,
	},
	{
		name: "a revoked reader's callee", start: sharesRenewing.then(fails(backends.ErrRevoked)), event: within("a", "c", reading),
		want: []string{"refuse c: deadlock"}, to: "sharing", look: left,
	},
	{
		name: "it is revoked while its callee waits for the proof", start: sharesRenewing.then(woken(backends.Doubted), within("a", "c", reading)),
		event: fails(backends.ErrRevoked), want: []string{"revoke a: " + told, "refuse c: deadlock"}, to: "sharing", look: left,
	},
	{
		name:  "it ends while its callee waits for the proof, who then waits as others do",
		start: beside.then(wait(ms), woken(backends.Doubted), within("a", "c", reading)), event: release("a"),
		want: []string{"finish a"}, to: "sharing", look: 2 * second,
	},
	{
		name: "its caller's hold has ended", start: sharedLingering, event: within("a", "c", reading),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "Slots(1) within Slots(1)", start: slotOf("a", 1), event: within("a", "c", slot(1)),
		want: []string{"refuse c: deadlock"}, to: "sharing", look: renewAt,
	},
	{
		name: "a slot within a slot, where a permit is spare", start: twoSlots.with(lingers).then(release("b")), event: within("c", "d", slot(3)),
		want: []string{"offer d 101.2 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "a writer's callee", start: leasedBy("a"), event: within("a", "c", reading), want: []string{"refuse c: deadlock"}, to: "leased", look: renewAt,
	},
	{
		name: "a downgraded writer's callee, while another writer waits", start: turning.then(arrive("b")), event: within("a", "c", reading),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "under a lock that readers have", start: ridden.then(arrive("c")), event: within("b", "d", reading),
		want: []string{"offer d 101.2 for 10s, handed on"}, to: "leased",
	},
	{
		name: "where nobody excludes", start: leasedBy("a").with(anybody), event: within("a", "c"),
		want: []string{"offer c 101.1 for 10s, handed on"}, to: "leased",
	},
}

// otherKindRows are those of an attempt that asks for what the first in line does not want.
var otherKindRows = []row{
	{
		name: "the writer that waited first has left", start: queuedAt("a").then(arrive("b", reading)), event: leave("a"),
		words: "Leave, the next wants another kind", want: []string{"ask cancel 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "its time is over", start: queuedAt("a", waiting(second)).then(arrive("b", reading), wait(300*ms), tick, held()), after: 700 * ms, event: tick,
		words: "Tick, the next wants another kind", want: []string{"time out a: held", "ask cancel 1"}, to: "settling", look: 59 * second,
	},
	{
		name: "it leaves while its ask is under way", start: askingFor("a").then(arrive("b", reading), leave("a")), event: held(),
		words: "Answered, the next wants another kind", want: []string{"ask cancel 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "it was granted the lock, and the next reads under it", start: askingFor("a").then(arrive("b", reading), leave("a")), event: granted(),
		words: "Answered, granted", want: []string{"offer b 101.0 for 10s"}, to: "leased",
	},
	{
		name: "it was granted a share, and the next writes", start: askingFor("a", reading).then(arrive("b"), leave("a")), event: shared(),
		words: "Answered, granted a share", want: []string{"ask release 1 shared"}, to: "sharing", look: 60 * second,
	},
	{
		name: "beside shares", start: beside.then(arrive("c", slot(2))), event: leave("b"),
		want: []string{"ask cancel 2"}, to: "sharing", look: 10 * second,
	},
	{
		name: "… and then it asks for that", start: beside.then(arrive("c", slot(2)), leave("b")), event: answer(done),
		want: []string{"ask acquire 3 slots 1 of 2 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{
		name: "a push gives a lock to one that wants to read: it asks, and makes a share of it", start: queuedAt("a", reading), event: gave(),
		want: []string{"ask acquire 1 shared for " + ttl10.String() + ", probe 1"}, to: "asking", look: 60 * second,
	},
}
