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
func (vm *VM) call(l *lua.LState) int {
	reply := vm.command(l)
	if reply.Kind == keyspace.Error {
		l.Error(vm.single("err", reply.Str), 0)
	}
	l.Push(vm.toLua(reply))
	return 1
}

// pcall runs a command and returns its error.
func (vm *VM) pcall(l *lua.LState) int {
	l.Push(vm.toLua(vm.command(l)))
	return 1
}

// command runs what the script's arguments say.
func (vm *VM) command(l *lua.LState) keyspace.Reply {
	n := l.GetTop()
	if n == 0 {
		return keyspace.Reply{Kind: keyspace.Error, Str: "ERR Please specify at least one argument for this redis lib call"}
	}
	vm.args = vm.args[:0]
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			vm.args = append(vm.args, string(v))
		case lua.LNumber:
			vm.args = append(vm.args, keyspace.FormatFloat(float64(v)))
		default:
			return keyspace.Reply{Kind: keyspace.Error, Str: "ERR Lua redis lib command arguments must be strings or integers"}
		}
	}
	c := keyspace.Find(vm.args[0])
	if c == nil {
		return keyspace.Reply{Kind: keyspace.Error, Str: keyspace.ErrUnknown}
	}
	return vm.keys.Run(c, vm.args)
}

// errorReply makes what a script returns as its error. Redis takes the first
// word for the error's code if there is a second.
func (vm *VM) errorReply(l *lua.LState) int {
	text, isString := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !isString {
		l.Push(vm.single("err", "ERR wrong number or type of arguments"))
		return 1
	}
	message := strings.TrimPrefix(string(text), "-")
	if !strings.Contains(message, " ") {
		message = "ERR " + message
	}
	l.Push(vm.single("err", message))
	return 1
}

func (vm *VM) statusReply(l *lua.LState) int {
	text, isString := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !isString {
		l.Push(vm.single("err", "ERR wrong number or type of arguments"))
		return 1
	}
	l.Push(vm.single("ok", string(text)))
	return 1
}

func (vm *VM) sha1hex(l *lua.LState) int {
	if l.GetTop() != 1 {
		l.Error(vm.single("err", "ERR wrong number of arguments"), 0)
	}
	sum := sha1.Sum([]byte(lua.LVAsString(l.Get(1))))
	l.Push(vm.boxes.string(hex.EncodeToString(sum[:])))
	return 1
}
