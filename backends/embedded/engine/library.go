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
func toNumber(vm *VM, l *lua.LState) int {
	radix := 10
	if l.GetTop() > 1 {
		radix = l.CheckInt(2)
	}
	switch v := l.CheckAny(1).(type) {
	case lua.LNumber:
		l.Push(v)
		return 1
	case lua.LString:
		if n, ok := parseNumber(string(v), radix); ok {
			l.Push(vm.boxes.number(n))
			return 1
		}
	}
	l.Push(lua.LNil)
	return 1
}

// toString is tostring, with numbers as C's %.14g has them.
func toString(vm *VM, l *lua.LState) int {
	switch v := l.CheckAny(1).(type) {
	case lua.LNumber:
		l.Push(vm.boxes.string(general(float64(v), 14)))
	default:
		l.Push(l.ToStringMeta(v))
	}
	return 1
}

// substring is string.sub.
func substring(vm *VM, l *lua.LState) int {
	s := l.CheckString(1)
	i, j := place(l.CheckInt(2), len(s)), len(s)
	if l.GetTop() > 2 {
		j = place(l.CheckInt(3), len(s))
	}
	i, j = max(i, 1), min(j, len(s))
	if i > j {
		l.Push(aString)
		return 1
	}
	l.Push(vm.boxes.string(s[i-1 : j]))
	return 1
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
func (vm *VM) join(l *lua.LState) int {
	vm.parts = vm.parts[:0]
	for i := 1; i <= l.GetTop(); i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			vm.parts = append(vm.parts, string(v))
		case lua.LNumber:
			vm.parts = append(vm.parts, general(float64(v), 14))
		default:
			l.RaiseError("attempt to concatenate a %s value", v.Type())
		}
	}
	l.Push(vm.boxes.string(strings.Join(vm.parts, "")))
	return 1
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

func repeat(vm *VM, l *lua.LState) int {
	s, n := l.CheckString(1), max(0, l.CheckInt(2))
	if len(s) > 0 && n > maxString/len(s) {
		l.RaiseError("resulting string too large")
	}
	l.Push(vm.boxes.string(strings.Repeat(s, n)))
	return 1
}

func floor(vm *VM, l *lua.LState) int {
	l.Push(vm.boxes.number(math.Floor(float64(l.CheckNumber(1)))))
	return 1
}

func ceil(vm *VM, l *lua.LState) int {
	l.Push(vm.boxes.number(math.Ceil(float64(l.CheckNumber(1)))))
	return 1
}

func greatest(_ *VM, l *lua.LState) int {
	most := l.CheckNumber(1)
	for i := 2; i <= l.GetTop(); i++ {
		most = max(most, l.CheckNumber(i))
	}
	l.Push(most)
	return 1
}

func least(_ *VM, l *lua.LState) int {
	fewest := l.CheckNumber(1)
	for i := 2; i <= l.GetTop(); i++ {
		fewest = min(fewest, l.CheckNumber(i))
	}
	l.Push(fewest)
	return 1
}
