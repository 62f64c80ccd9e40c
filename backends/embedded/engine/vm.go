package engine

import (
	"errors"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

const (
	// callDepth is how deep a script's calls may nest: Lua's own limit for C
	// calls. Deeper recursion is an error, as it is on a server.
	callDepth = 200
	// registry is the interpreter's stack, in values of 16 bytes. It starts
	// small, since there is one a shard, and grows for a script that needs more.
	registry    = 256
	registryMax = 1 << 17
	registryAdd = 1024
	// Budget is how many rounds one run may take, see round: measured, 0.2 s of an
	// empty loop. A lock on a free key takes none.
	Budget = 1_000_000
)

// An ErrorReply is the error that a script raised or a command answered to
// redis.call, in Redis's words: "WRONGTYPE Operation against…".
type ErrorReply struct{ Message string }

func (e *ErrorReply) Error() string { return "engine: " + e.Message }

// A VM runs programs over one keyspace. One goroutine at a time may use it.
type VM struct {
	keys   *keyspace.Keyspace
	state  *lua.LState
	ready  map[*Program]*ready
	tables [2]*lua.LTable // KEYS and ARGV
	shared shared
	boxes  boxes        // of the run under way
	named  boxes        // of KEYS and ARGV
	left   int          // rounds, see round
	args   []string     // of the command under way
	parts  []string     // of the string under way
	slots  []lua.LValue // of the program under way, for its straight part
	passed []lua.LValue // to the library function that gopher-lua calls
}

// ready is a program as a VM runs it.
type ready struct {
	body  *lua.LFunction // see Compile
	way   *lua.LFunction // nil: none
	slots []lua.LValue
}

// New makes a VM. It allocates 109 KB in 670 pieces, about 0.1 ms.
func New(keys *keyspace.Keyspace) *VM {
	vm := &VM{keys: keys}
	vm.build()
	return vm
}

// build makes the interpreter, and forgets all of an earlier one.
func (vm *VM) build() {
	vm.state = lua.NewState(lua.Options{
		CallStackSize:    callDepth,
		RegistrySize:     registry,
		RegistryMaxSize:  registryMax,
		RegistryGrowStep: registryAdd,
		SkipOpenLibs:     true,
	})
	vm.ready = make(map[*Program]*ready)
	vm.tables = [2]*lua.LTable{new(lua.LTable), new(lua.LTable)}
	for i := range vm.tables {
		vm.tables[i] = vm.state.CreateTable(4, 0)
	}
	vm.shared = shared{}
	vm.sandbox()
}

// Rebind has the VM run over another keyspace, or over none until the next Rebind.
// Nothing is left of the scripts that it ran before. It is far cheaper than a new
// VM.
func (vm *VM) Rebind(keys *keyspace.Keyspace) {
	vm.keys = keys
	for _, t := range vm.tables {
		vm.fill(t, nil)
	}
	clear(vm.args[:cap(vm.args)])
	clear(vm.parts[:cap(vm.parts)])
	for p, r := range vm.ready {
		copy(r.slots, p.slots)
	}
	clear(vm.passed)
	vm.boxes, vm.named = boxes{}, boxes{}
}

// Run runs a program to its end. The reply is the caller's own. An error is
// an *ErrorReply; the keyspace keeps what the script did before it, as a
// server's does. An error that the script returns instead of raising it is a
// reply, of kind keyspace.Error.
func (vm *VM) Run(p *Program, keys, argv []string) (keyspace.Reply, error) {
	vm.left = Budget
	vm.boxes.reset()
	vm.keys.Tick()
	r, err := vm.prepare(p)
	if err == nil {
		vm.fill(vm.tables[0], keys)
		vm.fill(vm.tables[1], argv)
		vm.slots = r.slots
		if r.way != nil && len(keys) == p.way.keys {
			vm.state.Push(r.way)
		} else {
			vm.state.Push(r.body)
		}
		err = vm.state.PCall(0, 1, nil)
	}
	if err != nil {
		// The stack of a failed run may still be referenced by half-closed
		// upvalues; errors are rare enough to pay for certainty.
		vm.state.Close()
		vm.build()
		return keyspace.Reply{}, raised(err)
	}
	reply := toReply(vm.state.Get(-1), 0)
	vm.state.SetTop(0)
	vm.tidy(p.neat)
	return reply, nil
}

// prepare finds the program's functions, or runs its head to make them.
func (vm *VM) prepare(p *Program) (*ready, error) {
	if r := vm.ready[p]; r != nil {
		return r, nil
	}
	r := &ready{slots: slices.Clone(p.slots)}
	for name, f := range p.straight {
		vm.state.Env.RawSetString(name, f.bridge(vm))
	}
	if p.way != nil {
		r.way = p.way.bridge(vm)
	}
	vm.state.Push(vm.state.NewFunctionFromProto(p.proto))
	if err := vm.state.PCall(0, 1, nil); err != nil {
		return nil, err
	}
	r.body = vm.state.Get(-1).(*lua.LFunction) // rearrange ends every program in a function
	vm.state.SetTop(0)
	vm.ready[p] = r
	return r, nil
}

// fill makes a table hold exactly these values.
func (vm *VM) fill(t *lua.LTable, values []string) {
	for t.Len() > len(values) {
		t.Remove(t.Len())
	}
	for i, v := range values {
		// One key, one token after the other: much is there already.
		if old, isString := t.RawGetInt(i + 1).(lua.LString); !isString || string(old) != v {
			t.RawSetInt(i+1, vm.named.string(v))
		}
	}
}

// tidy replaces what the script may have kept or scribbled on: the tables that
// runs share have to look new to the next.
func (vm *VM) tidy(neat bool) {
	if neat {
		vm.shared.reuse()
		return
	}
	for _, t := range vm.tables {
		if hasMore(t, t.Len()) {
			vm.build() // no sane script has a field beside the list
			return
		}
	}
	vm.shared.tidy(vm)
}

// raised turns what the interpreter reports into Redis's words.
func raised(err error) error {
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return &ErrorReply{"ERR " + err.Error()}
	}
	if t, isTable := api.Object.(*lua.LTable); isTable {
		if text, isString := t.RawGetString("err").(lua.LString); isString {
			return &ErrorReply{string(text)}
		}
	}
	text := err.Error()
	if api.Object != nil && api.Object != lua.LNil {
		text = api.Object.String()
	}
	// A Go panic's text comes with the stack of the script below it.
	text, _, _ = strings.Cut(text, "\nstack traceback:")
	return &ErrorReply{"ERR " + text}
}
