package engine

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// These functions of Lua's library differ in gopher-lua from what a server
// does, or cost too much there for a script that calls them six times.

// toNumber is tonumber. gopher-lua knows neither '1e5' nor integers past 2^63,
// and both are values that other people's locks may have.
func toNumber(l *lua.LState) int {
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
			l.Push(lua.LNumber(n))
			return 1
		}
	}
	l.Push(lua.LNil)
	return 1
}

// toString is tostring, with numbers as C's %.14g has them.
func toString(l *lua.LState) int {
	switch v := l.CheckAny(1).(type) {
	case lua.LNumber:
		l.Push(lua.LString(general(float64(v), 14)))
	default:
		l.Push(l.ToStringMeta(v))
	}
	return 1
}

// substring is string.sub.
func substring(l *lua.LState) int {
	s := l.CheckString(1)
	i, j := place(l.CheckInt(2), len(s)), len(s)
	if l.GetTop() > 2 {
		j = place(l.CheckInt(3), len(s))
	}
	i, j = max(i, 1), min(j, len(s))
	if i > j {
		l.Push(lua.LString(""))
		return 1
	}
	l.Push(lua.LString(s[i-1 : j]))
	return 1
}

// place turns an index that counts from the end into one that doesn't.
func place(i, n int) int {
	if i < 0 {
		return max(0, n+i+1)
	}
	return i
}

// maxString bounds string.rep, which could take all memory in one instruction.
const maxString = 1 << 20

func repeat(l *lua.LState) int {
	s, n := l.CheckString(1), max(0, l.CheckInt(2))
	if len(s) > 0 && n > maxString/len(s) {
		l.RaiseError("resulting string too large")
	}
	l.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

func floor(l *lua.LState) int {
	l.Push(lua.LNumber(math.Floor(float64(l.CheckNumber(1)))))
	return 1
}

func ceil(l *lua.LState) int {
	l.Push(lua.LNumber(math.Ceil(float64(l.CheckNumber(1)))))
	return 1
}

func greatest(l *lua.LState) int {
	most := l.CheckNumber(1)
	for i := 2; i <= l.GetTop(); i++ {
		most = max(most, l.CheckNumber(i))
	}
	l.Push(most)
	return 1
}

func least(l *lua.LState) int {
	fewest := l.CheckNumber(1)
	for i := 2; i <= l.GetTop(); i++ {
		fewest = min(fewest, l.CheckNumber(i))
	}
	l.Push(fewest)
	return 1
}
