package machine

import "github.com/turnstile-go/turnstile/backends"

var (
	// sharesRenewing: the renewal of a's share is under way.
	sharesRenewing = sharedBy("a").then(wait(renewAt), tick)
	// renewed1 is that renewal.
	renewed1 = "ask renew 1 shared for " + ttlOf(left+500*ms).String() + " over 101"
	// asksBeside: a reads, and the ask of b, who wants to write, is under way.
	asksBeside = sharedBy("a").then(arrive("b"))
	// twoShares: a and b read by shares of their own, since others waited when b came.
	twoShares = timesUp.then(arrive("b", reading), shared(), taken)
)

// sharesRows are those of answers, and of time, while there are shares.
var sharesRows = []row{
	{name: "held", start: asksBeside, event: held(), to: "sharing", look: 300 * ms},
	{
		name: "one try finds it held", start: slotOf("a", 2).then(arrive("b", slot(2), once)), event: held(),
		want: []string{"time out b: held"}, to: "sharing", look: renewAt,
	},
	{
		name: "the next of its process has a share of its own", start: timesUp.then(arrive("b", reading)), event: shared(),
		want: []string{"offer b 102.0 for 10s"}, to: "sharing",
	},
	{
		name: "nobody waits for it any more", start: timesUp.then(arrive("b", reading), leave("b")), event: shared(),
		want: []string{"ask release 2 shared"}, to: "sharing", look: 10*second - 20*ms,
	},
	{
		name: "others are ahead of the writer here, as the answer to its ask said", start: beside.then(wait(20*ms), leave("b"), answer(done)),
		event: arrive("c", reading), want: []string{"ask acquire 3 shared for " + ttl10.String()}, to: "sharing", look: 10*second - 20*ms,
	},
	{
		name:  "that others wait goes for all shares: a permit of the first is not passed on",
		start: slotOf("a", 2).then(arrive("b", slot(2)), shared(contended), taken, wait(20*ms), arrive("c", slot(2)), held()), event: release("a"),
		want: []string{"finish a", "ask release 1 slots"}, to: "sharing", look: 2 * second,
	},
	{
		name: "the newest share comes first", start: twoShares, event: arrive("c", reading),
		want: []string{"offer c 102.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "the share is lost, since a lock is granted (grantEndsOld)", start: asksBeside, event: granted(),
		want: []string{"end a: lost, not held", "ask release 1 shared"}, to: "sharing", look: 60 * second,
	},
	{
		name:  "the share is lost, since one of another kind is granted (grantEndsOld)",
		start: sharedBy("a").then(arrive("b", slot(2))), event: shared(),
		want: []string{"end a: lost, not held", "offer b 102.0 for 10s"}, to: "sharing",
	},
	{name: "the ask did not run", start: asksBeside, event: fails(silent, notRun), to: "sharing", look: firstPauseAtHalf},
	{name: "the ask was not answered", start: asksBeside, event: fails(silent), to: "sharing", look: firstPauseAtHalf},
	{
		name: "the attempt was settled, and the next begins", start: asksBeside.then(fails(settled), wait(firstPauseAtHalf)), event: tick,
		want: []string{"ask acquire 3 for " + ttl10.String()}, to: "sharing", look: 10*second - firstPauseAtHalf,
	},
	{name: "the attempt was settled", start: asksBeside, event: fails(settled), to: "sharing", look: firstPauseAtHalf},
	{
		name: "the ask is refused for good", start: asksBeside, event: fails(refused),
		want: []string{"refuse b: unavailable, refused, wrong type", "ask cancel 2, ambiguous"}, to: "sharing", look: 10 * second,
	},
	{name: "the ask is refused for now", start: asksBeside, event: fails(passing), to: "sharing", look: firstPauseAtHalf},
	{
		name: "its ask may have run: it says so", start: asksBeside.then(fails(silent), wait(firstPauseAtHalf)), event: tick,
		want: []string{acquire2 + ", ambiguous"}, to: "sharing", look: 10*second - firstPauseAtHalf,
	},
	{name: "it is time to renew", start: sharedBy("a"), after: renewAt, event: tick, want: []string{renewed1}, to: "sharing", look: left},
	{name: "renewed", start: sharesRenewing, event: shared(), to: "sharing", look: laterRenewal(ttlOf(left + 500*ms))},
	{
		name: "a hold that is renewed goes on", start: sharedBy("a", renewed).then(wait(keepAt), tick), event: shared(),
		want: []string{"move a to 10s"}, to: "sharing", look: laterRenewal(10 * second),
	},
	{
		name: "renewed, and the longer hold joins", start: sharedBy("a").then(arrive("b", reading, lasting(60*second))), event: shared(),
		want: []string{"offer b 102.0 for 1m0s, handed on"}, to: "sharing",
	},
	{
		name: "the share is gone", start: sharesRenewing, event: gone,
		want: []string{"end a: lost, not held", "ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "one share is gone, and the other is not", start: twoShares.then(wait(renewAt-20*ms), tick), event: gone,
		want: []string{"end a: lost, not held", "ask release 1 shared"}, to: "sharing", look: 10*second - renewAt + 20*ms,
	},
	{
		name: "revoked: it stops, and is not renewed", start: sharesRenewing, event: fails(backends.ErrRevoked),
		want: []string{"revoke a: " + told}, to: "sharing", look: left,
	},
	{
		name: "a revoked hold stops", start: sharesRenewing.then(fails(backends.ErrRevoked)), event: release("a"),
		want: []string{"finish a", "ask release 1 shared"}, to: "sharing", look: 2 * second,
	},
	{
		name: "the share was revoked: a reader asks for another", start: sharesRenewing.then(fails(backends.ErrRevoked)), event: arrive("b", reading),
		want: []string{acquireShared2}, to: "sharing", look: left,
	},
	{
		name: "a renewal was not answered", start: sharesRenewing, event: fails(silent),
		to: "sharing", look: firstPauseAtHalf,
	},
	{
		name: "… and is tried again", start: sharesRenewing.then(fails(silent), wait(firstPauseAtHalf)), event: tick,
		want: []string{"ask renew 1 shared for " + ttlOf(left-firstPauseAtHalf+500*ms).String() + " over 101, ambiguous"}, to: "sharing",
		look: left - firstPauseAtHalf - proofEnds,
	},
	{
		name: "no renewal got through: the hold is lost early (L5)", start: sharesRenewing.then(fails(silent), wait(left-proofEnds)), event: tick,
		want: []string{"end a: lost, unavailable, cut", "ask release 1 shared, ambiguous"}, to: "sharing", look: never,
	},
	{
		name: "a renewal was refused for good", start: sharesRenewing.then(arrive("b")), event: fails(refused),
		want: []string{"refuse b: unavailable, refused, wrong type"}, to: "sharing", look: firstPauseAtHalf,
	},
	{name: "a renewal was refused for now", start: sharesRenewing, event: fails(passing), to: "sharing", look: firstPauseAtHalf},
	{
		name: "no share that servers may have lost is joined before it was proved", start: sharedBy("a").with(failsOver).then(wait(ProofLasts + 1)),
		event: arrive("b", reading), want: []string{"ask renew 1 shared for " + ttl10.String() + " over 101"}, to: "sharing",
		look: 10*second - ProofLasts - 1,
	},
	{
		name: "… nor one that is doubted", start: sharedBy("a").then(wait(ms), woken(backends.Doubted)), event: arrive("b", reading),
		to: "sharing", look: 10*second - ms,
	},
	{
		name: "where nobody pushes, it asks for others who wait while readers join", start: sharedBy("a").with(noWakes).then(arrive("b", reading), taken),
		after: 10 * ms, event: tick, want: []string{"ask renew 1 shared for " + ttlOf(10490*ms).String() + " over 101"}, to: "sharing", look: 9990 * ms,
	},
	{
		name: "it has lingered", start: sharedLingering, after: second, event: tick,
		want: []string{"ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "the writer asks again", start: beside, after: 300 * ms, event: tick,
		want: []string{acquire2 + ", probe 1"}, to: "sharing", look: 10*second - 300*ms,
	},
	{
		name: "a hold expires, and its share goes back", start: sharedBy("a"), after: 10 * second, event: tick,
		want: []string{"end a: expired", "ask release 1 shared"}, to: "sharing", look: never,
	},
	{
		name: "who waits times out, and leaves the queue", start: sharedBy("a").then(arrive("b", waiting(second)), held()), after: second, event: tick,
		want: []string{"time out b: held", "ask cancel 2"}, to: "sharing", look: 9 * second,
	},
	{
		name:  "a gap is due: nobody joins, and the writer that waits leaves the queue",
		start: beside.with(gaps).then(wait(1100 * ms)), event: arrive("c", reading), want: []string{"ask cancel 2"}, to: "sharing", look: 8900 * ms,
	},
	{
		name: "a gap can't be made while somebody reads: they join again", start: sharedBy("a").with(gaps).then(wait(1100*ms), arrive("b", reading, lasting(second))),
		after: 100 * ms, event: tick, want: []string{"offer b 101.1 for 1s, handed on"}, to: "sharing",
	},
}

// slotsRows are those of permits.
var slotsRows = []row{
	{
		name: "two at the head ask for two permits", start: releasing.then(arrive("b", slot(3)), arrive("c", slot(4))), event: answer(done),
		words: "Answered, somebody waits",
		want:  []string{"released a", "ask acquire 2 slots 2 of 3 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "one that says less is not asked for with them", start: releasing.then(arrive("b", slot(3)), arrive("c", slot(2))), event: answer(done),
		words: "Answered, somebody waits",
		want:  []string{"released a", "ask acquire 2 slots 1 of 3 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "no more than there are", start: releasing.then(arrive("b", slot(1)), arrive("c", slot(1))), event: answer(done),
		words: "Answered, somebody waits",
		want:  []string{"released a", "ask acquire 2 slots 1 of 1 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "one has a slot, another asks beside it", start: slotOf("a", 2), event: arrive("b", slot(2)),
		want: []string{"ask acquire 2 slots 1 of 2 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{name: "behind as many as there can be it waits", start: slotOf("a", 1), event: arrive("b", slot(1)), to: "sharing", look: renewAt},
	{
		name: "unless others wait", start: slotOf("a", 1).then(woken(backends.Wanted)), event: arrive("b", slot(1)),
		want: []string{"ask acquire 2 slots 1 of 1 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{
		name: "one tries for another", start: slotOf("a", 2), event: arrive("b", slot(2), once),
		want: []string{"ask acquire 2 slots 1 of 2 for " + ttl10.String() + ", one try"}, to: "sharing", look: 2 * second,
	},
	{
		name: "one tries, and all are here", start: slotOf("a", 1), event: arrive("b", slot(1), once),
		want: []string{"time out b: held"}, to: "sharing", look: renewAt,
	},
	{
		name: "a permit passes on, with no call", start: slotOf("a", 1).then(arrive("b", slot(1))), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "the next has the permit", start: slotOf("a", 1).then(arrive("b", slot(1)), release("a")), event: taken,
		want: []string{"released a"}, to: "sharing", look: renewAt,
	},
	{
		name: "a permit passes to one that says more", start: slotOf("a", 1).then(arrive("b", slot(2)), held()), event: release("a"),
		want: []string{"finish a", "offer b 101.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "but not to one that says less (limitOfPermit)", start: slotOf("a", 5).then(arrive("b", slot(2)), held()), event: release("a"),
		want: []string{"finish a", "ask release 1 slots"}, to: "sharing", look: 2 * second,
	},
	{
		name:  "an ask for five was not answered, and the next says one (limitHighest)",
		start: start{arrive("a", slot(5)), arrive("b", slot(1)), leave("a"), fails(silent), wait(firstPauseAtHalf), tick}, event: shared(),
		words: "Answered, granted a share", want: []string{"ask release 1 slots, ambiguous"}, to: "sharing", look: 60*second - firstPauseAtHalf,
	},
	{
		name: "a spare permit goes back (surplusGoesBack)", start: twoSlots, event: release("b"),
		want: []string{"finish b", "released b", "ask renew 1 slots 1 of 3 for " + ttl10.String() + " over 101"}, to: "sharing", look: 10 * second,
	},
	{
		name: "it is nobody's from when that was sent (cutsWhenSent)", start: twoSlots.then(release("b"), fails(silent)), event: arrive("d", slot(3)),
		want: []string{"ask acquire 2 slots 1 of 3 for " + ttl10.String()}, to: "sharing", look: 10*second - proofEnds,
	},
	{
		name: "where it lingers it stays a while", start: twoSlots.with(lingers), event: release("b"),
		want: []string{"finish b", "released b"}, to: "sharing", look: second,
	},
	{
		name: "… and goes back once others wait", start: twoSlots.with(lingers).then(release("b")), event: woken(backends.Wanted),
		want: []string{"ask renew 1 slots 1 of 3 for " + ttlOf(11500*ms).String() + " over 101"}, to: "sharing", look: 10 * second,
	},
	{
		name: "a permit lingers beside one that is in use", start: twoPermits, event: release("b"),
		want: []string{"finish b", "released b"}, to: "sharing", look: second,
	},
	{
		name: "… and the next has it", start: twoPermits.then(release("b")), event: arrive("d", slot(2)),
		want: []string{"offer d 102.1 for 10s, handed on"}, to: "sharing",
	},
	{
		name: "… for as long as a lease does", start: twoPermits.then(release("b"), wait(second)), event: tick,
		want: []string{"ask release 2 slots"}, to: "sharing", look: 9 * second,
	},
	{
		name: "… or until others wait", start: twoPermits.then(release("b")), event: woken(backends.Wanted),
		want: []string{"ask release 2 slots"}, to: "sharing", look: 10 * second,
	},
	{
		name: "of two that nobody uses the newer stays", start: twoPermits.then(release("b")), event: release("a"),
		want: []string{"finish a", "ask release 1 slots"}, to: "sharing", look: 2 * second,
	},
	{
		name: "… alone", start: twoPermits.then(release("b"), release("a")), event: answer(done),
		want: []string{"released a"}, to: "sharing", look: second,
	},
	{
		name: "a share has fewer permits than were wanted", start: releasing.then(arrive("b", slot(3)), arrive("c", slot(3)), answer(done), shared(permits(1))),
		event: taken, want: []string{"ask acquire 3 slots 1 of 3 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{
		name: "permits only go down", start: twoSlots.then(release("b"), shared(permits(2))), event: arrive("d", slot(3)),
		want: []string{"ask acquire 2 slots 1 of 3 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{
		name: "a reader asks beside them", start: twoSlots, event: arrive("d", reading),
		want: []string{"ask acquire 2 shared for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
	{
		name: "a slot beside readers is asked for, though it is the only one", start: sharedBy("a"), event: arrive("b", slot(1)),
		want: []string{"ask acquire 2 slots 1 of 1 for " + ttl10.String()}, to: "sharing", look: 10 * second,
	},
}

// twoPermits: a and b have a permit each, by a share each, and they linger.
var twoPermits = slotOf("a", 2).with(lingers).then(arrive("b", slot(2)), shared(), taken)

// twoSlots: b and c have two permits, by one share.
var twoSlots = start{arrive("b", slot(3)), arrive("c", slot(3)), fails(silent, notRun), wait(firstPauseAtHalf), tick, shared(), taken, taken}
