package kinds

// A rule is one of the scripts' or the sessions' rules that a test can leave out.
type rule int

const (
	everyRule rule = iota // nothing is left out

	// The marker and the shares.
	makingClears   // making a marker deletes the shares that an earlier one had
	kindApart      // the marker says of which kind its shares are, and only those of that kind join
	ttlFollows     // the marker lasts as long as the longest share that is left, no longer
	orphanWaits    // a marker whose shares were evicted is somebody's until it ends: nobody joins
	mintsLast      // a share's base counts as the newest of the key
	markerMended   // a marker that a pylock has overwritten is put back
	markerGuards   // a left-over over a marker is not taken over before its shares are over
	evictedNamed   // a companion that is made anew names the marker that is there
	deadMakeWay    // a share that is over counts no more
	limitCounts    // a permit is given while fewer than n are out
	laterIsOther   // a renewal fails on a share that began after the newest base of its caller
	newestShortens // only a caller that knows the newest base of its share makes it shorter
	revokedStays   // a revoked share is not made longer
	revokesOne     // a base revokes the share that it began or that has it, and no other
	revokesInTurns // of many shares one script revokes some
	askTurns       // a lock that was given to an attempt of another kind becomes a marker by its next ask
	turnKeepsFirst // a share that was a lock keeps the lock's first base
	bothForms      // the end of an attempt ends its lock and its share, whichever there is
	endsUnderStamp // and its share too while a pylock has overwritten the marker
	settledMarks   // an attempt that was ambiguous is settled with a mark
	passesOn       // the end of the last share gives the key to the first that waits

	// The order.
	aheadFirst  // nobody gets what one that came before may still get
	aheadBinds  // nor makes it too many for one of a smaller n that came before
	window      // an ask that is far behind in the queue waits until those before have come: a scan is bounded
	asksHolding // a session that has shares asks for the next one, of whichever kind, while it has them
	toldInTurns // holders are told in turns that somebody waits

	// The sessions.
	cutsWhenSent    // permits that are given back are nobody's from when that was sent
	limitOfPermit   // a permit passes only to a caller that says at least the n by which it was given
	limitHighest    // that is the largest n of all asks of its attempt
	turnsWanted     // a lock that carries holds of another kind becomes a share once others wait
	turnsInTime     // and after a Tenure, since a session that only tries is not heard of
	ridesWithin     // a lock carries no more slot holds than each of them says
	sharedFromSent  // a lock that may have become a share carries no exclusive hold any more
	downgradeStays  // a downgrade is repeated until it is answered: each renewal says it again
	grantEndsOld    // a session that is granted another kind has lost the shares that it had
	surplusGoesBack // a permit that nobody needs goes back
	budget          // while others wait, shares are joined and permits passed on for a Tenure only
	nestedJoins     // a nested shared hold joins at once

	rules // how many there are
)
