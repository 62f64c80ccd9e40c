package keyspace

// Kind is the type of a reply.
type Kind uint8

// The kinds of replies, those of RESP2. The zero value is nil.
const (
	Nil Kind = iota
	Integer
	Bulk
	Status
	Error
	Array
)

// A Reply is what a command or a script answers. Which field counts follows
// from its kind. The array of a command's reply is valid until the next
// command; a script's is the caller's own.
type Reply struct {
	Kind  Kind
	Int   int64   // Integer
	Str   string  // Bulk, Status, Error ("WRONGTYPE Operation against…")
	Array []Reply // Array
}

func integer(n int64) Reply    { return Reply{Kind: Integer, Int: n} }
func bulk(s string) Reply      { return Reply{Kind: Bulk, Str: s} }
func failure(msg string) Reply { return Reply{Kind: Error, Str: msg} }

func boolean(b bool) Reply {
	if b {
		return integer(1)
	}
	return integer(0)
}

var ok = Reply{Kind: Status, Str: "OK"}

// The errors, in Redis's words: scripts and clients tell them apart by text.
const (
	errWrongType   = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNotInteger  = "ERR value is not an integer or out of range"
	errNotFloat    = "ERR value is not a valid float"
	errHashInteger = "ERR hash value is not an integer"
	errOverflow    = "ERR increment or decrement would overflow"
	errNegate      = "ERR decrement would overflow"
	errSyntax      = "ERR syntax error"
	errRange       = "ERR min or max is not a float"
	errNXandXX     = "ERR XX and NX options at the same time are not compatible"
	errGTandLT     = "ERR GT, LT, and/or NX options at the same time are not compatible"
)

// ErrUnknown and ErrArity are what Redis tells a script, in place of the
// texts that a client gets.
const (
	ErrUnknown = "ERR Unknown Redis command called from script"
	ErrArity   = "ERR Wrong number of args calling Redis command from script"
)

func arityError(command string) Reply {
	return failure("ERR wrong number of arguments for '" + command + "' command")
}

func expireError(command string) Reply {
	return failure("ERR invalid expire time in '" + command + "' command")
}
