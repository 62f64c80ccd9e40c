package engine

import (
	"crypto/sha1" // for redis.sha1hex, which scripts know; nothing is secured by it.
	"encoding/hex"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// redisLibrary is the table redis.
var redisLibrary = map[string]libraryFunction{
	"call":         (*VM).call,
	"pcall":        (*VM).pcall,
	"error_reply":  (*VM).errorReply,
	"status_reply": (*VM).statusReply,
	"sha1hex":      (*VM).sha1hex,
}

// call runs a command and raises its error.
func (vm *VM) call(args []lua.LValue) lua.LValue { return vm.answer(vm.command(args), true) }

// pcall runs a command and returns its error.
func (vm *VM) pcall(args []lua.LValue) lua.LValue { return vm.answer(vm.command(args), false) }

// answer is a command's reply as a script sees it.
func (vm *VM) answer(reply keyspace.Reply, raise bool) lua.LValue {
	if raise && reply.Kind == keyspace.Error {
		vm.state.Error(vm.single("err", reply.Str), 0)
	}
	return vm.toLua(reply)
}

// command runs what the script's arguments say.
func (vm *VM) command(args []lua.LValue) keyspace.Reply {
	if len(args) == 0 {
		return keyspace.Reply{Kind: keyspace.Error, Str: "ERR Please specify at least one argument for this redis lib call"}
	}
	vm.args = vm.args[:0]
	return vm.run(nil, args)
}

// run runs c on the words in vm.args and more, or if c is nil the command that they name.
func (vm *VM) run(c *keyspace.Command, more []lua.LValue) keyspace.Reply {
	for _, arg := range more {
		switch v := arg.(type) {
		case lua.LString:
			vm.args = append(vm.args, string(v))
		case lua.LNumber:
			vm.args = append(vm.args, keyspace.FormatFloat(float64(v)))
		default:
			return keyspace.Reply{Kind: keyspace.Error, Str: "ERR Lua redis lib command arguments must be strings or integers"}
		}
	}
	if c == nil {
		c = keyspace.Find(vm.args[0])
	}
	if c == nil {
		return keyspace.Reply{Kind: keyspace.Error, Str: keyspace.ErrUnknown}
	}
	return vm.keys.Run(c, vm.args)
}

// errorReply makes what a script returns as its error. Redis takes the first
// word for the error's code if there is a second.
func (vm *VM) errorReply(args []lua.LValue) lua.LValue {
	message, ok := only(args)
	if !ok {
		return vm.single("err", "ERR wrong number or type of arguments")
	}
	message = strings.TrimPrefix(message, "-")
	if !strings.Contains(message, " ") {
		message = "ERR " + message
	}
	return vm.single("err", message)
}

func (vm *VM) statusReply(args []lua.LValue) lua.LValue {
	message, ok := only(args)
	if !ok {
		return vm.single("err", "ERR wrong number or type of arguments")
	}
	return vm.single("ok", message)
}

// only is the one argument, which has to be a string.
func only(args []lua.LValue) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	s, isString := args[0].(lua.LString)
	return string(s), isString
}

func (vm *VM) sha1hex(args []lua.LValue) lua.LValue {
	if len(args) != 1 {
		vm.state.Error(vm.single("err", "ERR wrong number of arguments"), 0)
	}
	sum := sha1.Sum([]byte(lua.LVAsString(args[0])))
	return vm.boxes.string(hex.EncodeToString(sum[:]))
}
