package memcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// maxLabel is how much of a label is kept, in bytes.
const maxLabel = 256

// A lease is what a lock item says:
//
//	TOKEN                                added, and not yet anybody's lease
//	TOKEN FIRST BASE SINCE ENDS LABEL    granted
//	MARK FIRST BASE SINCE ENDS LABEL     released, and nobody's: the rest is of the lease before
//
// The token comes first and at its full length. Whatever else is there belongs
// to another library, and is not touched unless that is asked for.
type lease struct {
	token   backends.Token
	granted bool
	resting bool
	// first was minted for the grant, base is the newest; the lease has minted no
	// others than from first to base.
	first, base uint64
	// Times are ms on the clock of the process that has the lease: see clock.
	since, ends int64
	label       string
}

func (l lease) encode() []byte {
	value := []byte(l.token.Wire())
	switch {
	case l.resting:
		value = []byte(restMark)
	case !l.granted:
		return value
	}
	for _, n := range []int64{int64(l.first), int64(l.base), l.since, l.ends} {
		value = strconv.AppendInt(append(value, ' '), n, 10)
	}
	return append(append(value, ' '), cut(l.label)...)
}

// decode reads a lock item; ok is false for what somebody else wrote.
func decode(value []byte) (l lease, ok bool) {
	wire, rest, more := bytes.Cut(value, []byte{' '})
	if l.resting = string(wire) == restMark; l.resting {
		ok = true
	} else {
		l.token, ok = backends.ParseToken(string(wire))
	}
	if !ok || !more {
		return l, ok && !l.resting
	}
	// The label is last, so it may have spaces of its own.
	var numbers [4]int64
	fields := bytes.SplitN(rest, []byte{' '}, len(numbers)+1)
	if len(fields) != len(numbers)+1 {
		return lease{}, false
	}
	for i := range numbers {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil || n < 0 {
			return lease{}, false
		}
		numbers[i] = n
	}
	if numbers[0] > numbers[1] { // also the form without FIRST, of earlier binaries
		return lease{}, false
	}
	l.granted, l.first, l.base, l.since, l.ends = !l.resting, uint64(numbers[0]), uint64(numbers[1]), numbers[2], numbers[3]
	l.label = string(fields[len(numbers)])
	return l, true
}

// name is what a revoke item calls a lease: its first base, which no other lease of
// the key has, and which proves nothing.
func (l lease) name() []byte { return strconv.AppendUint(nil, l.first, 10) }

// revokedBy reports whether a revoke item is about this lease, and not about an
// earlier one.
func (l lease) revokedBy(item *gomemcache.Item) bool {
	return l.granted && item != nil && bytes.Equal(item.Value, l.name())
}

// restMark is in the place of a token of a key that rests: nobody compares it, and pylock, whose
// time it would be, reads a time in 2100.
const restMark = "4102444800.2"

// cut shortens a label that is too long, between two characters.
func cut(label string) string {
	if len(label) <= maxLabel {
		return label
	}
	n := maxLabel
	for n > maxLabel-utf8.UTFMax && !utf8.RuneStart(label[n]) {
		n--
	}
	return label[:n]
}

// A mark names a session in a wait item: enough to tell it from others, and
// nothing of its token.
type mark [8]byte

func markOf(s backends.Session) mark {
	sum := sha256.Sum256([]byte(s))
	return mark(sum[:8])
}

// wish is the value of a wait item: the mark, and a number that is new each time,
// by which others see that whoever wrote it is still there.
func (m mark) wish(n uint64) []byte {
	return strconv.AppendUint(append(hex.AppendEncode(nil, m[:]), ' '), n, 10)
}

// wrote reports whether a wait item is of that session.
func (m mark) wrote(value []byte) bool {
	name, _, _ := bytes.Cut(value, []byte{' '})
	return string(name) == hex.EncodeToString(m[:])
}
