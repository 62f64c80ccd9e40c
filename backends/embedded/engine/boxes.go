package engine

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// boxes makes strings and numbers Lua values, many to one allocation. To convert an
// LString to the interface allocates 16 bytes each time; a script on a free key would
// do so 15 times. gopher-lua has the like for the numbers that it computes (alloc.go).
//
// A value is never changed once it was handed out. It keeps its slab alive: nothing of
// a run stays, but for KEYS, ARGV and the slabs in use.
type boxes struct {
	strings []lua.LString
	numbers []lua.LNumber
}

// slab is the number of values that are allocated at once.
const slab = 64

var (
	aString lua.LValue = lua.LString("")
	aNumber lua.LValue = lua.LNumber(0.5)
)

func (b *boxes) string(s string) lua.LValue {
	if len(b.strings) == 0 {
		b.strings = make([]lua.LString, slab)
	}
	at := &b.strings[0]
	b.strings = b.strings[1:]
	*at = lua.LString(s)
	return boxed(aString, unsafe.Pointer(at))
}

func (b *boxes) number(n float64) lua.LValue {
	if len(b.numbers) == 0 {
		b.numbers = make([]lua.LNumber, slab)
	}
	at := &b.numbers[0]
	b.numbers = b.numbers[1:]
	*at = lua.LNumber(n)
	return boxed(aNumber, unsafe.Pointer(at))
}

// boxed is the interface value of like's type whose data is at p. An interface is two
// words, of which the second points to the data of a type that is no pointer itself.
func boxed(like lua.LValue, p unsafe.Pointer) lua.LValue {
	(*[2]unsafe.Pointer)(unsafe.Pointer(&like))[1] = p
	return like
}
