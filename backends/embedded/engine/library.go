package engine

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// These functions of Lua's library differ in gopher-lua from what a server
// does, or cost too much there for a script that calls them six times.

// toNumber is tonumber. gopher-lua knows neither '1e5' nor integers past 2^63,
// and both are values that other people's locks may have.
func toNumber(vm *VM, args []lua.LValue) lua.LValue {
	radix := 10
	if len(args) > 1 {
		radix = vm.integer(args, 1)
	}
	switch v := vm.value(args, 0).(type) {
	case lua.LNumber:
		return v
	case lua.LString:
		if n, ok := parseNumber(string(v), radix); ok {
			return vm.boxes.number(n)
		}
	}
	return lua.LNil
}

// toString is tostring, with numbers as C's %.14g has them.
func toString(vm *VM, args []lua.LValue) lua.LValue {
	if n, isNumber := vm.value(args, 0).(lua.LNumber); isNumber {
		return vm.boxes.string(general(float64(n), 14))
	}
	return vm.state.ToStringMeta(args[0])
}

// substring is string.sub.
func substring(vm *VM, args []lua.LValue) lua.LValue {
	s := vm.text(args, 0)
	i, j := place(vm.integer(args, 1), len(s)), len(s)
	if len(args) > 2 {
		j = place(vm.integer(args, 2), len(s))
	}
	i, j = max(i, 1), min(j, len(s))
	if i > j {
		return aString
	}
	return vm.boxes.string(s[i-1 : j])
}

// place turns an index that counts from the end into one that doesn't.
func place(i, n int) int {
	if i < 0 {
		return max(0, n+i+1)
	}
	return i
}

// join is the operator .. of as many operands as stand in a row: no script can name
// it, and operands puts it in the operator's place. gopher-lua's own allocates three
// times, and writes numbers in its own way.
func (vm *VM) join(args []lua.LValue) lua.LValue {
	vm.parts = vm.parts[:0]
	for _, arg := range args {
		switch v := arg.(type) {
		case lua.LString:
			vm.parts = append(vm.parts, string(v))
		case lua.LNumber:
			vm.parts = append(vm.parts, general(float64(v), 14))
		default:
			vm.state.RaiseError("attempt to concatenate a %s value", v.Type())
		}
	}
	return vm.boxes.string(strings.Join(vm.parts, ""))
}

const join = "join strings"

// operands are those of a .. b .. c, each of one value.
func operands(list []ast.Expr, e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.StringConcatOpExpr:
		return operands(operands(list, e.Lhs), e.Rhs)
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return append(list, e)
}

// maxString bounds string.rep, which could take all memory in one instruction.
const maxString = 1 << 20

func repeat(vm *VM, args []lua.LValue) lua.LValue {
	s, n := vm.text(args, 0), max(0, vm.integer(args, 1))
	if len(s) > 0 && n > maxString/len(s) {
		vm.state.RaiseError("resulting string too large")
	}
	return vm.boxes.string(strings.Repeat(s, n))
}

func floor(vm *VM, args []lua.LValue) lua.LValue {
	return vm.boxes.number(math.Floor(vm.number(args, 0)))
}

func ceil(vm *VM, args []lua.LValue) lua.LValue {
	return vm.boxes.number(math.Ceil(vm.number(args, 0)))
}

func greatest(vm *VM, args []lua.LValue) lua.LValue {
	most := vm.number(args, 0)
	for i := range args {
		most = max(most, vm.number(args, i))
	}
	return vm.boxes.number(most)
}

func least(vm *VM, args []lua.LValue) lua.LValue {
	fewest := vm.number(args, 0)
	for i := range args {
		fewest = min(fewest, vm.number(args, i))
	}
	return vm.boxes.number(fewest)
}
