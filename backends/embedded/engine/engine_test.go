package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newVM() *engine.VM { return engine.New(keyspace.New(keyspace.WallClock(), nil)) }

func eval(t *testing.T, vm *engine.VM, source string, argv ...string) string {
	t.Helper()
	return outcome(vm.Run(program(t, source), []string{"key1", "key2"}, argv))
}

// outcome writes what a run came to in one line; an error begins with a dash,
// and with a bang if the script raised it.
func outcome(r keyspace.Reply, err error) string {
	var raised *engine.ErrorReply
	switch {
	case errors.As(err, &raised):
		return "!" + raised.Message
	case err != nil:
		return "unexpected " + err.Error()
	}
	return show(r)
}

func show(r keyspace.Reply) string {
	switch r.Kind {
	case keyspace.Integer:
		return fmt.Sprint(r.Int)
	case keyspace.Bulk:
		return `"` + r.Str + `"`
	case keyspace.Status:
		return r.Str
	case keyspace.Error:
		return "-" + r.Str
	case keyspace.Array:
		parts := make([]string, len(r.Array))
		for i, e := range r.Array {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return "nil"
}

// rows are scripts and what Redis 7.0 says of them; the same rows run there in
// TestRedisSaysTheSame.
var rows = []struct{ script, want string }{
	// Lua to Redis.
	{"return 1", "1"}, {"return 3.99", "3"}, {"return -3.99", "-3"}, {"return 'x'", `"x"`},
	{"return true", "1"}, {"return false", "nil"}, {"return nil", "nil"}, {"return", "nil"}, {"local x = 1", "nil"},
	{"return {1, 2.5, 'x', {true}, false}", `[1 2 "x" [1] nil]`}, {"return {1, nil, 3}", "[1]"}, {"return {}", "[]"},
	{"return {ok = 'fine'}", "fine"}, {"return {err = 'MY fault'}", "-MY fault"},
	{"return redis.status_reply('fine')", "fine"}, {"return redis.error_reply('MY fault')", "-MY fault"},
	{"return redis.error_reply('-MY fault')", "-MY fault"}, {"return redis.error_reply('fault')", "-ERR fault"},
	{"return redis.sha1hex('')", `"da39a3ee5e6b4b0d3255bfef95601890afd80709"`},
	// Redis to Lua.
	{"return {redis.call('GET', KEYS[1]) == false, type(redis.call('SET', KEYS[1], 'x')), redis.call('SET', KEYS[1], 'x').ok}", `[1 "table" "OK"]`},
	{"return {redis.call('GET', KEYS[1]), type(redis.call('EXISTS', KEYS[1]))}", `["x" "number"]`},
	{"return type(redis.call('HMGET', KEYS[2], 'a')[1])", `"boolean"`},
	{"return #redis.call('HMGET', KEYS[2], 'a', 'b')", "2"},
	{"redis.call('SET', KEYS[1], 'x'); redis.call('HSET', 'h', 'a', 'b'); return redis.call('MGET', KEYS[1], 'h', 'none', KEYS[1])", `["x" nil nil "x"]`},
	{"local f = redis.call('MGET', 'none', unpack(KEYS)); return {#f, f[1] == false, f[2], f[3] == false}", `[3 1 "x" 1]`},
	{"redis.call('SET', KEYS[1], 12); return redis.call('GET', KEYS[1])", `"12"`},
	{"redis.call('SET', KEYS[1], 1.5); return redis.call('GET', KEYS[1])", `"1.5"`},
	{"redis.call('SET', KEYS[1], 1795441474249168); return redis.call('GET', KEYS[1])", `"1795441474249168"`},
	{"redis.call('set', KEYS[1], 'y'); return redis.call('gEt', KEYS[1])", `"y"`},
	// Errors.
	{"return redis.pcall('HGET', KEYS[1], 'f')", "-WRONGTYPE Operation against a key holding the wrong kind of value"},
	{"return redis.pcall('HGET', KEYS[1], 'f').err", `"WRONGTYPE Operation against a key holding the wrong kind of value"`},
	{"return redis.call('HGET', KEYS[1], 'f')", "!WRONGTYPE Operation against a key holding the wrong kind of value"},
	{"local ok, e = pcall(redis.call, 'HGET', KEYS[1], 'f') return {ok, e}", `[nil "WRONGTYPE Operation against a key holding the wrong kind of value"]`},
	{"local ok, e = pcall(error, {code = 5}) return {ok, e.code}", "[nil 5]"}, {"return {pcall(function(a) return a, 2 end, 1)}", "[1 1 2]"},
	{"return redis.pcall('NOSUCH')", "-ERR Unknown Redis command called from script"},
	{"return redis.pcall('GET')", "-ERR Wrong number of args calling Redis command from script"},
	{"return redis.pcall('GET', {})", "-ERR Lua redis lib command arguments must be strings or integers"},
	{"return redis.pcall()", "-ERR Please specify at least one argument for this redis lib call"},
	// Numbers and strings.
	{"return tostring(1.7e15)", `"1.7e+15"`}, {"return tostring(12)", `"12"`}, {"return tostring(0.1)", `"0.1"`}, {"return tostring(1/0)", `"inf"`},
	{"return string.format('%.0f', 1795441474249168)", `"1795441474249168"`}, {"return string.format('%.0f', 0.5)", `"0"`}, {"return string.format('%.0f', 1.5)", `"2"`},
	{"return string.format('%010.0f', 42)", `"0000000042"`}, {"return string.format('%010.0f', -42)", `"-000000042"`}, {"return string.format('%d:%5s:%-4d|%x', 3.7, 'a', 5, 255)", `"3:    a:5   |ff"`},
	{"return string.format('%g %g %.3f 100%%', 0.1, 1e20, 2/3)", `"0.1 1e+20 0.667 100%"`}, {"return string.format('%s', 'a')", `"a"`},
	{"return tostring(tonumber('1e5'))", `"100000"`}, {"return tonumber('x') == nil", "1"}, {"return tonumber('') == nil", "1"}, {"return tonumber(' 12 ')", "12"},
	{"return tonumber('0x10')", "16"}, {"return tonumber('ff', 16)", "255"}, {"return tonumber('1_0') == nil", "1"}, {"return tonumber('--1') == nil", "1"}, {"return tonumber('-7')", "-7"},
	{"return tonumber('4102444800.10123456789012345678') > 4e9", "1"}, {"return tonumber('99999999999999999999') == 1e20", "1"},
	{"return {string.sub('hello', 2, 3), string.sub('hello', -2), string.sub('hello', 4, 99), string.sub('hello', 9), string.sub('hello', 0), string.sub('hello', 3, -2)}", `["el" "lo" "lo" "" "hello" "ll"]`},
	{"return {('x'):rep(3), ('Ab'):upper(), ('Ab'):lower(), #'abc', ('abc'):byte(2), string.char(65, 66)}", `["xxx" "AB" "ab" 3 98 "AB"]`},
	{"return {math.floor(-1.5), math.ceil(1.2), math.max(1, 5, 3), math.min(4, 2), math.abs(-3)}", "[-2 2 5 2 3]"},
	{"return string.match('1700000000.25', '^%d%d%d%d%d%d%d%d%d%d%.?%d*$')", `"1700000000.25"`},
	{"local t = {3, 1, 2} table.sort(t) table.insert(t, 9) return {table.concat(t, ','), table.remove(t), #t}", `["1,2,3,9" 9 3]`},
	{"local s = 0 for i, v in ipairs({1, 2, 3}) do s = s + i * v end for k, v in pairs({a = 5}) do s = s + v end return s", "19"},
	{"return {#select(2, 'a', 'b'), select('#', 1, 2), unpack({7, 8})}", "[1 2 7 8]"},
	{"local KEYS = {'mine'} return KEYS[1]", `"mine"`}, {"local string = {sub = function() return 'own' end} return string.sub('x', 1, 1)", `"own"`},
	{"local n = 0 local function f() n = n + 1 return n end f() return f()", "2"},
	{"local function f(n) if n == 0 then return 0 end return n + f(n - 1) end return f(100)", "5050"},
	// Strings put together.
	{"local function f() return 'b', 'x' end return 'a' .. f() .. 1 .. 2.5 .. -3", `"ab12.5-3"`},
	{"local function f(...) return 'a' .. ... end return {f('b', 'x'), ('a' .. 'b') .. 'c'}", `["ab" "abc"]`},
	{"return 1795441474249168 .. ''", `"1.7954414742492e+15"`}, {"return {'a' .. 'b', #('a' .. 'b')}", `["ab" 2]`},
	{"local function f() return 'a' .. 'b' end return {f(), (f())}", `["ab" "ab"]`},
	{"return {pcall(function() return 'a' .. nil end) == false, (pcall(function() return {} .. 'a' end))}", "[1 nil]"},
	{"return string.format('%s%06d', '1700000000', '42')", `"1700000000000042"`}, {"return string.format('%06d|%06d|%06d', '-42', '1234567', 4.9)", `"-00042|1234567|000004"`},
	{"local call = redis.call return call('EXISTS', KEYS[1], KEYS[2])", "1"},
}

func TestScriptsSayWhatTheySayOnRedis(t *testing.T) {
	vm := newVM()
	for _, row := range rows {
		if got := eval(t, vm, row.script); got != row.want {
			t.Errorf("%s\n got %s\nwant %s", row.script, got, row.want)
		}
	}
}

func TestARunLeavesNothingForTheNext(t *testing.T) {
	for _, c := range []struct{ name, spoil, probe, want string }{
		{"a global", "x = 1", "return x", "!ERR test:1: Script attempted to access nonexistent global variable 'x'"},
		{"a library", "string.sub = function() return 'own' end", "return string.sub('abc', 1, 1)", `"a"`},
		{"a library by another name", "local s = string s.sub = 1", "return string.sub('abc', 1, 1)", `"a"`},
		{"a library's array", "table.insert(string, 'x')", "return string[1] == nil", "1"},
		{"a base function", "tonumber = nil", "return tonumber('1')", "1"},
		{"a field of KEYS", "KEYS.x = 1", "return KEYS.x == nil", "1"},
		{"a longer KEYS", "KEYS[3] = 'x'", "return #KEYS", "2"},
		{"a shorter ARGV", "ARGV[1] = nil", "return ARGV[1]", `"arg"`},
		{"KEYS itself", "KEYS = {}", "return #KEYS", "2"},
		{"a status", "redis.call('SET', 'k', 'v').ok = 'spoilt'", "return redis.call('SET', 'k', 'v')", "OK"},
		{"a second status", "redis.call('SET', 'k', 'v') redis.call('SET', 'k', 'v').ok = 'spoilt'", "redis.call('SET', 'k', 'v') return redis.call('SET', 'k', 'v')", "OK"},
		{"a status's array", "redis.call('SET', 'k', 'v')[1] = 'spoilt'", "return #redis.call('SET', 'k', 'v')", "0"},
		{"a list's field", "redis.call('MGET', 'k').x = 1", "return redis.call('MGET', 'k').x == nil", "1"},
		{"a list's values", "local t = redis.call('MGET', 'k', 'j') for i = 1, 100 do t[i] = i end", "return redis.call('MGET', 'k')", "[nil]"},
		{"a list that another function changed", "local t = redis.call('MGET', 'k') table.insert(t, 'x') table.insert(t, 'y')", "return redis.call('MGET', 'k')", "[nil]"},
		{"a list in a list", "local t = {redis.call('MGET', 'k')} t[1].x = 1", "return redis.call('MGET', 'k').x == nil", "1"},
		{"a list by another name", "local t = {} t = redis.call('MGET', 'k') t.x = 1", "return redis.call('MGET', 'k').x == nil", "1"},
		{"a list in a function", "local t = {} local function f(t) t.x = 1 end f(redis.call('MGET', 'k'))", "return redis.call('MGET', 'k').x == nil", "1"},
		{"a list's method", "local t = redis.call('MGET', 'k') function t.x() end", "return redis.call('MGET', 'k').x == nil", "1"},
		{"a list by a library", "local f = table local t = redis.call('MGET', 'k') f.insert(t, 'x')", "return redis.call('MGET', 'k')", "[nil]"},
		{"KEYS by a library", "local f = table.insert f(KEYS, 'x')", "return #KEYS", "2"},
		{"a status's other field", "redis.call('SET', 'k', 'v').err = 'spoilt'", "return redis.call('SET', 'k', 'v')", "OK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vm := newVM()
			eval(t, vm, c.spoil, "arg")
			if got := eval(t, vm, c.probe, "arg"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The memory of a run's values is used again. Replies and arguments are not among them.
func TestTheNextRunChangesNoReplyAndNoArgument(t *testing.T) {
	vm := newVM()
	p := program(t, "local s = ARGV[2] for i = 1, 3 do s = s .. i + 0.5 end return {KEYS[1], ARGV[1], s, redis.call('TIME')[1]}")
	long := func(start string) string {
		for i := range 3 {
			start += fmt.Sprintf("%d.5", i+1)
		}
		return start
	}
	var replies []keyspace.Reply
	for i := range 5 {
		r, err := vm.Run(p, []string{"key"}, []string{"always", fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, r)
	}
	for i, r := range replies {
		want := fmt.Sprintf("[%q %q %q", "key", "always", long(fmt.Sprint(i)))
		if got := show(r); !strings.HasPrefix(got, want) || len(r.Array[3].Str) != 10 {
			t.Errorf("run %d: %s\nwant %s …]", i, got, want)
		}
	}
}

// The head of a program runs once a VM, so a local in it that changes must not
// be taken for a constant.
func TestStateInTheHeadStartsAnewWithEveryRun(t *testing.T) {
	for _, source := range []string{
		"local n = 0 n = n + 1 return n",
		"local n = 0 local function f() n = n + 1 return n end return f()",
		"local t = {} t[#t + 1] = 'x' return #t",
		"local a = ARGV[1] return a == 'arg' and 1 or 2",
		"local f = function() return 1 end local g = f f = function() return 2 end return g()",
		"local n = 0 do local function f() n = n + 1 end f() end return n",
	} {
		vm, p := newVM(), program(t, source)
		for range 3 {
			if got := outcome(vm.Run(p, nil, []string{"arg"})); got != "1" {
				t.Errorf("%s: %s", source, got)
			}
		}
	}
}

func TestWhatReachesOutsideIsNotThere(t *testing.T) {
	vm := newVM()
	for _, name := range []string{
		"os", "io", "debug", "package", "coroutine", "channel", "load", "loadstring", "dofile", "loadfile", "require",
		"module", "print", "collectgarbage", "setmetatable", "getmetatable", "rawset", "getfenv", "setfenv", "newproxy", "_G",
	} {
		if got := eval(t, vm, "return "+name); !strings.Contains(got, "nonexistent global variable '"+name+"'") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := eval(t, vm, "return string.dump == nil and math.random == nil"); got != "1" {
		t.Errorf("string.dump and math.random: %s", got)
	}
}

func TestEveryRunEndsAndLeavesTheVMUsable(t *testing.T) {
	for name, source := range map[string]string{
		"an endless loop":                     "while true do end",
		"one that catches its death":          "while true do pcall(function() while true do end end) end",
		"endless tail calls":                  "local function f() return f() end return f()",
		"endless recursion":                   "local function f() return 1 + f() end return f()",
		"calls that double":                   doubling(60),
		"functions that pass each other on":   "local t = {} t.f = function() return t.g() end t.g = function() return t.f() end return t.f()",
		"a function that is its own argument": "local function f(g) return g(g) end return f(f)",
		"a method of its own":                 "local t = {} function t:f() return self:f() end return t:f()",
		"a library's caller":                  "local f f = function() return select(2, pcall(f)) end while true do f() end",
		"a generic loop":                      "for _ in function() return 1 end do end",
		"an endless method":                   "repeat redis.call('INCR', 'n') until false",
		"a string of all memory":              "return string.rep('x', 1e9)",
		"a raised string":                     "error('boom')",
		"a raised table":                      "error({err = 'MY boom'})",
		"an index of nil":                     "local t = nil return t.x",
		"a reply without an end":              "local t = {} t[1] = t return t",
		"many results":                        "local t = {} for i = 1, 100000 do t[i] = i end return unpack(t)",
	} {
		t.Run(name, func(t *testing.T) {
			vm := newVM()
			got := eval(t, vm, source)
			if got == "nil" || strings.HasPrefix(got, "unexpected") {
				t.Errorf("it came to %.80s", got)
			}
			t.Logf("%.100s", got)
			if got := eval(t, vm, "return redis.call('SET', KEYS[1], 'v')"); got != "OK" {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

// doubling is a script without a loop whose n functions each call the one before twice.
func doubling(n int) string {
	source := "local function f0() return 1 end\n"
	for i := 1; i <= n; i++ {
		source += fmt.Sprintf("local function f%d() f%d() return f%d() end\n", i, i-1, i-1)
	}
	return source + fmt.Sprintf("return f%d()", n)
}

// A fault of ours in a command must not take the process, and every lock in
// it, down.
func TestAPanicInACommandIsAnError(t *testing.T) {
	calls := 0
	keys := keyspace.New(keyspace.WallClock(), func(string) int {
		if calls++; calls == 1 {
			panic("on purpose")
		}
		return 1
	})
	vm := engine.New(keys)
	if got := eval(t, vm, "redis.call('SET', KEYS[1], 'v') return redis.call('PUBLISH', 'c', 'm')"); got != "!ERR on purpose" {
		t.Errorf("the panic came out as %s", got)
	}
	if got := eval(t, vm, "return {redis.call('GET', KEYS[1]), redis.call('PUBLISH', 'c', 'm')}"); got != `["v" 1]` {
		t.Errorf("afterwards: %s", got)
	}
}

func TestWhatDoesNotCompileIsAnError(t *testing.T) {
	for _, source := range []string{"return ]", "local = 1", "break"} {
		if _, err := engine.Compile("bad", source); err == nil || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestTimeStandsStillWithinAScript(t *testing.T) {
	got := eval(t, newVM(), `
		local a = redis.call('TIME')
		for i = 1, 20000 do redis.call('EXISTS', 'k') end
		local b = redis.call('TIME')
		return a[1] == b[1] and a[2] == b[2]`)
	if got != "1" {
		t.Error("TIME moved while a script ran")
	}
}

// TestAGotoIsRefused: the Lua of a server has none, and this one would never end.
func TestAGotoIsRefused(t *testing.T) {
	_, err := engine.Compile("loop.lua", "local x = 1\n::again::\ngoto again")
	if err == nil || !strings.Contains(err.Error(), "loop.lua: line 3: no goto") {
		t.Errorf("compiled: %v", err)
	}
}
