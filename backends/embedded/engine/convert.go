package engine

import (
	"math"

	lua "github.com/yuin/gopher-lua"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// The conversions are those of Redis's manual, "Lua API reference, Data type
// conversion", for RESP2.

// toLua is a command's reply as a script sees it.
func (vm *VM) toLua(r keyspace.Reply) lua.LValue {
	switch r.Kind {
	case keyspace.Integer:
		return vm.boxes.number(float64(r.Int))
	case keyspace.Bulk:
		return vm.boxes.string(r.Str)
	case keyspace.Status:
		return vm.status(r.Str)
	case keyspace.Error:
		return vm.single("err", r.Str)
	case keyspace.Array:
		t := vm.shared.list(vm.state, len(r.Array))
		for _, e := range r.Array {
			t.Append(vm.toLua(e))
		}
		return t
	}
	return lua.LFalse
}

// status is {ok = text}.
func (vm *VM) status(text string) lua.LValue {
	if text == "OK" {
		return vm.shared.okay(vm)
	}
	return vm.single("ok", text)
}

func (vm *VM) single(name, value string) *lua.LTable {
	t := vm.state.CreateTable(0, 1)
	t.RawSetString(name, lua.LString(value))
	return t
}

// maxNesting is how deep a reply's arrays may nest. Redis's limit is the Lua
// stack's.
const maxNesting = 64

// toReply is what a script returns as its caller sees it: numbers lose their
// fraction, false is nil, true is 1, and an array ends at its first nil.
func toReply(v lua.LValue, depth int) keyspace.Reply {
	switch v := v.(type) {
	case lua.LString:
		return keyspace.Reply{Kind: keyspace.Bulk, Str: string(v)}
	case lua.LNumber:
		return keyspace.Reply{Kind: keyspace.Integer, Int: truncate(float64(v))}
	case lua.LBool:
		if v {
			return keyspace.Reply{Kind: keyspace.Integer, Int: 1}
		}
	case *lua.LTable:
		return tableReply(v, depth)
	}
	return keyspace.Reply{}
}

func tableReply(t *lua.LTable, depth int) keyspace.Reply {
	if depth > maxNesting {
		return keyspace.Reply{Kind: keyspace.Error, Str: "ERR reached lua stack limit"}
	}
	if text, isString := t.RawGetString("err").(lua.LString); isString {
		return keyspace.Reply{Kind: keyspace.Error, Str: string(text)}
	}
	if text, isString := t.RawGetString("ok").(lua.LString); isString {
		return keyspace.Reply{Kind: keyspace.Status, Str: string(text)}
	}
	reply := keyspace.Reply{Kind: keyspace.Array, Array: make([]keyspace.Reply, 0, t.Len())}
	for i := 1; ; i++ {
		v := t.RawGetInt(i)
		if v == lua.LNil {
			return reply
		}
		reply.Array = append(reply.Array, toReply(v, depth+1))
	}
}

// truncate is a C cast to long long on x86-64, where what doesn't fit becomes
// the least integer.
func truncate(f float64) int64 {
	if f >= math.MaxInt64 || f < math.MinInt64 || math.IsNaN(f) {
		return math.MinInt64
	}
	return int64(f)
}
