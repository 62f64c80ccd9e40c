package scripts

import (
	"strconv"
	"strings"
)

// MaxBase is the first fence base that a Lua double can't tell from its neighbour: 2^53 µs, in
// the year 2255. Bases are below it.
const MaxBase = 1 << 53

const (
	// attemptDigits is how long the attempt's number is, at the end of its token and at
	// the start of an item of fast's reply.
	attemptDigits = 12
	// baseDigits is how long a base is in such an item, with leading zeros.
	baseDigits = 16
)

// ReadFree reads an item of fast's reply to the free of a token, given as on the wire. freed is
// false where nothing was done and the full script has to be asked. ok is false if the item
// is no answer to this attempt's free.
func ReadFree(item, token string) (freed, ok bool) {
	said, mine := said(item, token)
	freed = mine && said == "1"
	return freed, freed || mine && said == "0"
}

// ReadTake reads an item of fast's reply to the take of a token, given as on the wire. base is
// the fence's base in µs; it is zero where nothing was done and the full script has to be asked. ok is
// false if the item is no answer to this attempt's take.
func ReadTake(item, token string) (base uint64, ok bool) {
	said, mine := said(item, token)
	switch {
	case mine && said == "0":
		return 0, true
	case !mine || len(said) != baseDigits:
		return 0, false
	}
	base, err := strconv.ParseUint(said, 10, 64)
	if err != nil || base == 0 || base >= MaxBase {
		return 0, false
	}
	return base, true
}

// said returns the text behind the attempt's number, if the number is the token's.
func said(item, token string) (said string, mine bool) {
	return strings.CutPrefix(item, token[len(token)-attemptDigits:])
}
