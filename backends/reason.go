package backends

import "errors"

// A Reason says why a server refused a request, as a type: a program can tell one
// refusal from another without matching the server's words. It is an error itself,
// so that errors.Is(err, ReadOnly) and errors.As find it in an error of a backend.
//
// The error says whether a refusal passes, not the reason: a read-only server stays
// one, but where servers fail over the next one takes writes. See IsRefused and
// IsPassing.
type Reason uint8

// The reasons. The first group passes by itself, as a rule; the second stays until
// somebody changes something.
const (
	Loading        Reason = iota + 1 // the server still reads its data
	Busy                             // a script of somebody's keeps it from answering
	TooManyClients                   // it takes no more connections
	OutOfMemory                      // it has no room for another key
	CannotSave                       // it takes no writes, since it can't save them
	TooFewReplicas                   // it takes no writes with as few replicas
	Moving                           // a Cluster whose slots are on their way, or a server without its master

	ReadOnly      // a replica
	WrongLogin    // no password, a wrong one, or an unknown user
	NoPermission  // the user may not use a command or a key
	WrongType     // the key holds something that is no lock
	WrongDatabase // there is none of that number
	WrongServer   // of another kind, form or version than the URL says
)

var reasons = [...]string{
	Loading: "loading", Busy: "busy", TooManyClients: "too many clients", OutOfMemory: "out of memory",
	CannotSave: "cannot save", TooFewReplicas: "too few replicas", Moving: "moving",
	ReadOnly: "read only", WrongLogin: "wrong login", NoPermission: "no permission", WrongType: "wrong type",
	WrongDatabase: "wrong database", WrongServer: "wrong server",
}

// Error returns the reason in two words.
func (r Reason) Error() string {
	if int(r) < len(reasons) && r > 0 {
		return reasons[r]
	}
	return "unknown reason"
}

// IsPassing reports whether a server answered that it can't serve now: the same
// request can succeed later, with nobody's help.
func IsPassing(err error) bool {
	var r Reason
	return errors.As(err, &r) && !IsRefused(err)
}
