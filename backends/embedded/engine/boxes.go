package engine

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// boxes makes strings and numbers Lua values, many to one allocation. To convert an
// LString to the interface allocates 16 bytes each time; a script on a free key would
// do so 15 times. gopher-lua has the like for the numbers that it computes (alloc.go).
//
// A run's values are changed by the next run, after reset: nothing that a script makes
// outlives its run. Those of KEYS and ARGV may, and are in boxes that are never reset.
type boxes struct {
	strings []lua.LString
	numbers []lua.LNumber
	used    struct{ strings, numbers int }
}

// reset has the slabs used again.
func (b *boxes) reset() { b.used.strings, b.used.numbers = 0, 0 }

// slab is the number of values that are allocated at once.
const slab = 64

var (
	aString lua.LValue = lua.LString("")
	aNumber lua.LValue = lua.LNumber(0.5)
)

func (b *boxes) string(s string) lua.LValue {
	if b.used.strings == len(b.strings) {
		b.strings, b.used.strings = make([]lua.LString, slab), 0
	}
	at := &b.strings[b.used.strings]
	b.used.strings++
	*at = lua.LString(s)
	return boxed(aString, unsafe.Pointer(at))
}

func (b *boxes) number(n float64) lua.LValue {
	if b.used.numbers == len(b.numbers) {
		b.numbers, b.used.numbers = make([]lua.LNumber, slab), 0
	}
	at := &b.numbers[b.used.numbers]
	b.used.numbers++
	*at = lua.LNumber(n)
	return boxed(aNumber, unsafe.Pointer(at))
}

// boxed is the interface value of like's type whose data is at p. An interface is two
// words, of which the second points to the data of a type that is no pointer itself.
func boxed(like lua.LValue, p unsafe.Pointer) lua.LValue {
	(*[2]unsafe.Pointer)(unsafe.Pointer(&like))[1] = p
	return like
}
