package push

// A rule is one of the scripts' or the sessions' rules that a test can leave out.
type rule int

const (
	everyRule rule = iota // nothing is left out

	// The server's messages.
	reservationAsks  // a reservation for a poll-only session is told as a hint, which only makes it ask
	nextAsks         // and so is the hint to the next that hears
	numbered         // a push echoes the number of the newest ask, not the time of that ask in ms
	unguessable      // that number can't be guessed
	lengthTold       // a push says how long the lease is
	coversPace       // a given lease outlasts the pause between two asks
	beatsAddNothing  // a heartbeat keeps a place in the queue and never makes one
	givenIsRevocable // a lease that is given and not confirmed can be revoked

	// When a push grants.
	attemptNamed   // only to the attempt that it names
	whileAsking    // only while that attempt is asking
	noneInFlight   // only when no call of the key is in flight
	wokenStays     // if not, the session asks at once, after the call in flight
	newestAsk      // only if it echoes the newest ask
	notPast        // only before the deadline
	timedAtGrant   // by the time of the grant, not of the push's arrival
	proofCounts    // where servers replace each other, only for 500 ms from that ask
	plainOnly      // only to a caller who shows the deadline to nobody
	countsFromSent // the deadline counts from when the ask was sent, not answered
	margin         // and is earlier by the margin

	// The confirmation.
	namesLease       // it names the base of the push, as each renewal names its newest, and fails on a later lease
	firstStays       // a lease is known by its first base: a repeated ask or confirmation leaves that alone
	freeStaysFree    // it never takes a free key
	otherEnds        // another answer ends the hold at once
	silenceEnds      // no answer is no confirmation
	cutsWhenSent     // one that asks for less than is left cuts the deadline when it is sent
	prolongsFromSent // one that succeeds moves the deadline by when it was sent, not answered

	rules // how many there are
)
