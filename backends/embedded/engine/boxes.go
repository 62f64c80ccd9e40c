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
	strings slab[lua.LString]
	numbers slab[lua.LNumber]
}

// A slab is values that were allocated at once, of which some are used.
type slab[V any] struct {
	values []V
	used   int
}

// slabLen is the number of values that are allocated at once.
const slabLen = 64

// put keeps a value in the next free place.
func (s *slab[V]) put(v V) unsafe.Pointer {
	if s.used == len(s.values) {
		s.values, s.used = make([]V, slabLen), 0
	}
	at := &s.values[s.used]
	s.used++
	*at = v
	return unsafe.Pointer(at)
}

// reset has the slabs used again.
func (b *boxes) reset() { b.strings.used, b.numbers.used = 0, 0 }

var (
	aString lua.LValue = lua.LString("")
	aNumber lua.LValue = lua.LNumber(0.5)
)

func (b *boxes) string(s string) lua.LValue { return boxed(aString, b.strings.put(lua.LString(s))) }

func (b *boxes) number(n float64) lua.LValue { return boxed(aNumber, b.numbers.put(lua.LNumber(n))) }

// boxed is the interface value of like's type whose data is at p. An interface is two
// words, of which the second points to the data of a type that is no pointer itself.
func boxed(like lua.LValue, p unsafe.Pointer) lua.LValue {
	(*[2]unsafe.Pointer)(unsafe.Pointer(&like))[1] = p
	return like
}
