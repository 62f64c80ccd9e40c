package backends

import "time"

// A Verb is what a Call does.
type Verb uint8

// The verbs of a Call.
const (
	Acquiring Verb = iota
	Renewing
	Releasing
	Cancelling
)

// String names the verb.
func (v Verb) String() string {
	switch v {
	case Acquiring:
		return "acquire"
	case Renewing:
		return "renew"
	case Releasing:
		return "release"
	case Cancelling:
		return "cancel"
	}
	return "unknown verb"
}

// A Call is one call of a verb, as a Starter takes it.
type Call struct {
	Verb Verb
	// Request is whole for an acquire. A renewal reads its Attempt and TTL, one of a Kind other than
	// Exclusive (RenewShare) N and Want as well; a release and a cancel read its Attempt.
	Request
	// Known is the newest base that the caller of a renewal has.
	Known uint64
	// Deadline is when the call ends without an answer. It must be set.
	Deadline time.Time
}

// An Asker is told what came of a call that it started.
type Asker interface {
	// Answered gets what the verb would have returned: the reply and the error of Acquire
	// or Renew, the error of Release or of the function Cancel. It is called once.
	Answered(Reply, error)
}

// A Starter is a backend that can begin a call and say later what came of it, so that
// the call owns no goroutine while it is on its way. Its verbs that block are there all
// the same, and the two ways may be mixed.
//
// # What the backend keeps to
//
//   - Start does not block, and does no I/O.
//   - The asker is told exactly once, from any goroutine, but never within Start.
//   - No lock is held meanwhile: the asker may start the next call from within Answered.
//   - A call is answered by its deadline, but for some milliseconds. If it was not sent
//     by then it did not run; otherwise it may have run, and an answer that comes later
//     is dropped. Nothing else ends a call but the backend's Close.
//
// # A lone caller
//
// Start returns nil where the backend carries on by itself. Otherwise nobody else is on
// the way, and it returns the rest of the call, which the caller has to run once, and
// soon: the asker is told from within. That takes a plain round trip, and at most
// AloneBudget or until the deadline: the call may have run then. So the caller may run it
// on its own goroutine, if it can wait that long, or leave it to another. It must not do so
// from within Answered, nor with a lock of its own that Answered takes.
//
// # What the asker keeps to
//
// Answered may compute, take its own short locks and start calls. It must not block, do
// I/O, or call code of the user's: other answers of the same round trip may stand behind
// it.
type Starter interface {
	Start(c Call, to Asker) (run func())
}

// AloneBudget is how long the function takes at most that Start returned.
const AloneBudget = 200 * time.Millisecond
