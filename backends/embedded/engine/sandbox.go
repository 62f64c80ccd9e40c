package engine

import (
	lua "github.com/yuin/gopher-lua"
)

// A libraryFunction is one of ours; it belongs to a VM. It keeps nothing of its arguments.
type libraryFunction func(*VM, []lua.LValue) lua.LValue

// function is a libraryFunction as gopher-lua calls it.
func (vm *VM) function(f libraryFunction) *lua.LFunction {
	return vm.state.NewFunction(func(l *lua.LState) int {
		n := l.GetTop()
		if n > len(vm.passed) {
			vm.passed = make([]lua.LValue, 2*n)
		}
		args := vm.passed[:n]
		for i := range args {
			args[i] = l.Get(i + 1)
		}
		l.Push(f(vm, args))
		return 1
	})
}

// What a script may use of Lua, and whose implementation: nil takes
// gopher-lua's. Left out is whatever reaches outside, compiles text, or could
// change what another run sees (setmetatable, rawset, getfenv, coroutines).
var (
	base = map[string]libraryFunction{
		"assert": nil, "error": nil, "ipairs": nil, "next": nil, "pairs": nil, "pcall": nil, "rawequal": nil,
		"rawget": nil, "select": nil, "type": nil, "unpack": nil,
		"tonumber": toNumber, "tostring": toString,
		tick: (*VM).round, join: (*VM).join,
	}
	libraries = map[string]map[string]libraryFunction{
		"string": {
			"byte": nil, "char": nil, "find": nil, "len": nil, "lower": nil, "match": nil, "reverse": nil, "upper": nil,
			"format": format, "rep": repeat, "sub": substring,
		},
		"table": {"concat": nil, "insert": nil, "maxn": nil, "remove": nil, "sort": nil},
		"math": {
			"abs": nil, "fmod": nil, "huge": nil, "modf": nil, "pow": nil, "sqrt": nil,
			"ceil": ceil, "floor": floor, "max": greatest, "min": least,
		},
	}
)

// member says whether a library has this name.
func member(library, name string) bool {
	if library == "redis" {
		return redisLibrary[name] != nil
	}
	_, ok := libraries[library][name]
	return ok
}

// sandbox makes the globals. The table that scripts see is empty and looks
// things up in another that they can't reach: a script can't write what it
// reads. Libraries are userdata for the same reason: gopher-lua knows no
// read-only table, and table.insert would write to an empty one.
func (vm *VM) sandbox() {
	l := vm.state
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenString, lua.OpenTable, lua.OpenMath} {
		l.Push(l.NewFunction(open))
		l.Call(0, 0)
	}
	given := l.Env
	globals := vm.pick(given, base)
	globals.RawSetString("pcall", l.NewFunction(plainErrors(given.RawGetString("pcall").(*lua.LFunction))))
	for name, members := range libraries {
		real := vm.pick(given.RawGetString(name).(*lua.LTable), members)
		globals.RawSetString(name, vm.readOnly(real))
		if name == "string" {
			l.SetMetatable(lua.LString(""), vm.metatable(real)) // ("x"):sub(1, 1)
		}
	}
	redis := l.NewTable()
	for name, f := range redisLibrary {
		redis.RawSetString(name, vm.function(f))
	}
	globals.RawSetString("redis", vm.readOnly(redis))
	globals.RawSetString("KEYS", vm.tables[0])
	globals.RawSetString("ARGV", vm.tables[1])

	missing := l.NewTable()
	missing.RawSetString("__index", l.NewFunction(vm.noGlobal))
	globals.Metatable = missing
	env := l.NewTable()
	env.Metatable = vm.metatable(globals)
	l.Env = env
	l.G.Global = env
}

// plainErrors is pcall as Redis has it: scripts of before 7.0 know the error of
// redis.call as a string, so that is what is caught.
func plainErrors(pcall *lua.LFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		n := pcall.GFunction(l)
		if n != 2 || l.Get(-2) != lua.LFalse {
			return n
		}
		if t, isTable := l.Get(-1).(*lua.LTable); isTable {
			if text, isString := t.RawGetString("err").(lua.LString); isString {
				l.Pop(1)
				l.Push(text)
			}
		}
		return n
	}
}

// pick makes a table of the members that a script may use.
func (vm *VM) pick(from *lua.LTable, members map[string]libraryFunction) *lua.LTable {
	t := vm.state.NewTable()
	for name, own := range members {
		if own != nil {
			t.RawSetString(name, vm.function(own))
			continue
		}
		t.RawSetString(name, from.RawGetString(name))
	}
	return t
}

// readOnly is a value through which a table's fields can be read only.
func (vm *VM) readOnly(t *lua.LTable) *lua.LUserData {
	u := vm.state.NewUserData()
	u.Metatable = vm.metatable(t)
	return u
}

func (vm *VM) metatable(of *lua.LTable) *lua.LTable {
	m := vm.state.NewTable()
	m.RawSetString("__index", of)
	m.RawSetString("__newindex", vm.state.NewFunction(vm.noWrite))
	return m
}

func (vm *VM) noWrite(l *lua.LState) int {
	l.RaiseError("Attempt to modify a readonly table")
	return 0
}

func (vm *VM) noGlobal(l *lua.LState) int {
	l.RaiseError("Script attempted to access nonexistent global variable '%s'", lua.LVAsString(l.Get(2)))
	return 0
}
