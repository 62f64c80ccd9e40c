package engine

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// These read the arguments of a library function as Lua does: a number passes for a
// string, and a string for a number that it reads as. Anything else is an error.
// i counts from 0, and messages count from 1.

func (vm *VM) value(args []lua.LValue, i int) lua.LValue {
	if i >= len(args) {
		vm.state.RaiseError("bad argument #%d (value expected)", i+1)
	}
	return args[i]
}

func (vm *VM) text(args []lua.LValue, i int) string {
	switch v := vm.value(args, i).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return general(float64(v), 14)
	default:
		vm.state.RaiseError("bad argument #%d (string expected, got %s)", i+1, v.Type())
	}
	return ""
}

func (vm *VM) number(args []lua.LValue, i int) float64 {
	switch v := vm.value(args, i).(type) {
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		if n, ok := parseNumber(string(v), 10); ok {
			return n
		}
	}
	vm.state.RaiseError("bad argument #%d (number expected, got %s)", i+1, args[i].Type())
	return math.NaN()
}

func (vm *VM) integer(args []lua.LValue, i int) int { return int(vm.number(args, i)) }
