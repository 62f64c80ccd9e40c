package model

// A rule is one of the scripts' or the sessions' rules that a test can leave out.
type rule int

const (
	everyRule       rule = iota // nothing is left out
	nxGrants                    // only SET NX grants on the fast path, and not MGET's answer
	companionByNX               // without a companion, a fast take writes it with NX, or gives the lock back
	stateIsRead                 // the fast path leaves a key alone that is not quiet
	lastNotAhead                // a key whose last is ahead of the clock is not quiet
	freeNeedsName               // without a companion a free goes in full
	takesFirst                  // a fast call takes before it frees: a free would let it take on a full server
	longInFull                  // a lease that has long to go is released in full, which shortens the companion
	guard                       // a left-over is taken over only when the lease that the companion names is over
	guardNotOwn                 // that does not hold up the lease's own attempt
	evictedNamed                // a companion that is made anew names the lease that is there
	waitAddsNothing             // waiting does not make the companion last as if another's lock were our lease
	overMark                    // a repair needs the mark of our own take-over
	overMember                  // that mark names the lease that it is for
	leavesFirst                 // an attempt that ends leaves the queue before its lock is passed on
	releaseForgets              // a full release clears the lease from the companion and from that mark
	renewKeepsName              // a renewal that finds the lease lost leaves it named in the companion
	revokeMarks                 // revoke with now of a left-over leaves the mark, too
	sessionMemory               // after an unanswered request a session's attempts on the key end in full, marked, for 60 s
	memoryOutlives              // the key actor's retirement does not forget that
	memoryFailsSafe             // a session that throws an entry of that memory out treats each key as if it had one
	moreIsRead                  // full scripts look at marks and queue whatever the companion says
	marksRemembered             // a live mark makes the state 1
	replyNumbers                // a reply that carries another attempt's number grants nothing
	headIsRead                  // nobody gets the lock from the queue whose session has settled it
	laterEnds                   // nor who came before the attempt of the same session that a full script is of
	arrivalsLast                // an arrival's score is above all that wait
	companionStays              // while there is something to remember, a full script makes the companion last 60 s at least
	rules                       // how many there are
)
