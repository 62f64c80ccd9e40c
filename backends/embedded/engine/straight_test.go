package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/scripts"
)

// Each function runs straight as it stands, and in gopher-lua with a loop in it. Both say the same.
var straightRows = []string{
	// Branches and locals.
	"local function f(a, b) if a == b then return 'same' elseif a then return a end return 'neither' end return {f(1, 1), f('x', 1), f(nil, 1), f(false, 1), f()}",
	"local function f(a) local b = a if b == 'x' then local b = 'inner' a = b end return a .. b end return {f('x'), f('y')}",
	"local function f(a) local a, b = 'new', a return a .. b end return f('old')",
	"local function f(a) local x, y = a, 'y' x = x .. y y = x return y end return {f('a'), f('b')}",
	"local function f(a) if a then if a == 1 then return 'one' else return 'more' end else return 'neither' end end return {f(1), f(2), f()}",
	"local function f(a) return a end return {f(1, 2), #{f(), f()}, type(f())}",
	// Values of and, or, not and of comparisons.
	"local function f(a, b) return a and b or not a end return {f(1, 2), f(1, false), f(nil, 1), f(false), f(1)}",
	"local function f(a, b) return {a < b, a > b, a <= b, a >= b, a == b, a ~= b} end return {f(1, 2), f(2, 1), f(1, 1), f('a', 'b'), f('b', 'a'), f('a', 'a'), f(0/0, 0/0)}",
	"local function f(a, b) return {a == b, a ~= b} end return {f(1, '1'), f(nil, false), f(KEYS, KEYS), f({}, {}), f('a' .. 'b', 'ab'), f()}",
	// Numbers, strings and tables.
	"local function f(a, b) return {a + b, a - b, a .. b} end return {f('10', 3), f(1.5, '2'), f(' 7 ', 1), f('0x10', 0)}",
	"local function f(a) return #a end return {f('four'), f(KEYS), f({1, 2, 3}), f('')}",
	"local function f(t) return t.x end return {f({x = 5}), type(f({})), type(f('text'))}",
	"local function f(t, i) return t[i] end return {f(KEYS, 2), f(ARGV, 1), type(f(KEYS, 3)), f({[1.5] = 'half'}, 1.5)}",
	"local function f(a, b) return {a, b, 'c'} end return {f(1, 2), f(nil, 2), #f(1)}",
	"local function f() return {} end return {f(), f()}",
	"local function f(a) return string.sub(a, 2) .. string.format('%d', 3) .. tostring(tonumber('7') + 1) end return {f('abc'), f(12)}",
	"local function f() return {KEYS[1], ARGV[1], #KEYS} end return f()",
	// Calls.
	"local function g(a) return a .. 'g' end local function f(a) return g(g(g(a))) end return {f('x'), g('y')}",
	"local function g(a, b) return a .. b end local function f(a) return g(g(a, 'p'), g('q', a)) end return f('x')",
	"local K = 'k' local N = 5 local T = true local function f(a) return {K, N, T, a == K} end return {f('k'), f()}",
	"local function f(a) redis.call('SET', KEYS[1], a) return redis.call('GET', KEYS[1]) end return {f('v'), f(1.5), f(1795441474249168)}",
	"local function f(a) local r = redis.pcall('HGET', a, 'x') return r and r.err or 'nothing' end redis.call('SET', 's', 1) return {f('s'), f('none')}",
	"local function f(a) return redis.call('get', a) end redis.call('SET', 's', 1) return f('s')",
	"local t = {3, 1, 2} local function f(a, b) return a < b end table.sort(t, f) return t",
	"local function f(a) return a.err end return f(redis.pcall('NOSUCH', 'a'))",
	// Errors, which leave what was done and the VM usable.
	"local function f(a) redis.call('SET', 's', a) return redis.call('HGET', 's', 'x') end return f('v')",
	"local function f(a) return redis.call('SET', KEYS[1], a) end return f({})",
	"local function f(a) return redis.call('GET') end return {pcall(f, 1)}",
	"local function f(a) return redis.call('HGET', 's', a) end redis.call('SET', 's', 1) return {pcall(f, 'x')}",
	"local function f(a) return a + 1 end return {pcall(f, 'x') == false, pcall(f, {}) == false, pcall(f) == false, f(1)}",
	"local function f(a) return a .. 'x' end return {pcall(f, {}) == false, pcall(f) == false, pcall(f, true) == false, f(1)}",
	"local function f(a, b) return a < b end return {pcall(f, 1, 'x') == false, pcall(f, {}, {}) == false, pcall(f) == false}",
	"local function f(a, b) return a >= b end return {pcall(f, 1, 'x') == false, pcall(f, {}, {}) == false, pcall(f) == false}",
	"local function f(a) return a.x end return {pcall(f, nil) == false, pcall(f, 5) == false, pcall(f, true) == false}",
	"local function f(a) return #a end return {pcall(f, nil) == false, pcall(f, 5) == false, pcall(f, true) == false}",
}

func TestWhatIsStraightSaysTheSame(t *testing.T) {
	t.Parallel()
	for _, source := range straightRows {
		at := strings.Index(source, "local function f(")
		body := at + strings.Index(source[at:], ")") + 1
		looping := source[:body] + " for _ = 1, 0 do end" + source[body:]
		straight, _ := program(t, source).Straight()
		fewer, _ := program(t, looping).Straight()
		if !strings.HasPrefix(source, "local t") && straight != fewer+1 {
			t.Errorf("%s: %d functions are straight, and %d with a loop in f", source, straight, fewer)
		}
		vm := newVM()
		want := eval(t, newVM(), looping, "arg")
		for range 2 {
			if got := eval(t, vm, source, "arg"); got != want {
				t.Errorf("%s\n straight   %s\n gopher-lua %s", source, got, want)
			}
		}
	}
}

// The way of the fast script for one item is straight. A change that leaves it to gopher-lua
// makes it a third slower.
func TestTheFastScriptIsStraight(t *testing.T) {
	t.Parallel()
	if functions, way := mutex(t, scripts.Fast).Straight(); functions != strings.Count(scripts.Fast.Source(), "local function") || !way {
		t.Errorf("%d of its functions are straight, and its way for one item: %v", functions, way)
	}
}

func TestWhatIsNotStraightIsLeftToGopherLua(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"local function f(n) if n == 0 then return 0 end return f(n - 1) end return f(5)",
		"local f = function(n) if n == 0 then return 0 end return 0 end f = nil return 0",
		"local function f() end f() return 0",
		"local function f(a) if a then return 0 end end f() return 0",
		"local function f() return end f() return 0",
		"local function f() return 0, 1 end return (f())",
		"local function f(...) return ... end return f(0)",
		"local n = {0} local function f() return n[1] end return f()",
		"local n = 0 local function f() n = n + 0 return n end return f()",
		"local function f(t) t.x = 0 return t.x end return f({})",
		"local function f() local t = {0} return t[1] end return f()",
		"local function f(s) return s:len() end return f('')",
		"local function f(g) return g() end return f(function() return 0 end)",
		"local function tonumber() return 0 end local function f() return (function() return tonumber('9') end)() end return f()",
		"local function f() return type(0) == 'number' and 0 end return f()",
		"local function f() local redis = {call = function() return 0 end} return redis.call('GET', 'x') end return f()",
		"local function f(a) while true do return 0 end return 1 end return f()",
	} {
		if functions, _ := program(t, source).Straight(); functions > strings.Count(source, "local function tonumber") {
			t.Errorf("%s: straight", source)
		}
		if got := eval(t, newVM(), source); got != "0" {
			t.Errorf("%s: %s, want 0", source, got)
		}
	}
}

// A way is for its number of keys alone, and only what stands first is one.
func TestAScriptHasAWayForItsNumberOfKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		source string
		way    bool
		want   string
	}{
		{"if #KEYS == 2 then return 'way ' .. ARGV[1] end return 'rest'", true, `"way arg"`},
		{"if #KEYS == 3 then return 'way' end return 'rest ' .. #KEYS", true, `"rest 2"`},
		{"local S = 's' local function f(a) return a .. S end if #KEYS == 2 then local x = f('x') return {f(x), KEYS[2]} end return 'rest'", true, `["xss" "key2"]`},
		{"if #KEYS == 2 then return redis.call('HGET', 'none', 'x') end return 'rest'", true, "nil"},
		{"if #KEYS == 2 then return redis.call('HGET', 'none') end return 'rest'", true, "!ERR Wrong number of args calling Redis command from script"},
		{"local n = #ARGV if #KEYS == 2 then return 'way ' .. n end return 'rest'", false, `"way 1"`},
		{"if #KEYS == 2 then for i = 1, 1 do return 'way' end end return 'rest'", false, `"way"`},
		{"if #KEYS == 2 then return 'way' else return 'rest' end", false, `"way"`},
		{"if #KEYS == 2 then redis.call('GET', 'x') end return 'rest'", false, `"rest"`},
		{"if #ARGV == 1 then return 'way' end return 'rest'", false, `"way"`},
		{"if #KEYS ~= 3 then return 'way' end return 'rest'", false, `"way"`},
		{"if 2 == #KEYS then return 'way' end return 'rest'", false, `"way"`},
		{"if #KEYS == 2 then local KEYS = {'own'} return #KEYS end return 'rest'", false, "1"},
	} {
		if _, way := program(t, row.source).Straight(); way != row.way {
			t.Errorf("%s: a way: %v", row.source, way)
		}
		vm := newVM()
		for range 2 {
			if got := eval(t, vm, row.source, "arg"); got != row.want {
				t.Errorf("%s: %s, want %s", row.source, got, row.want)
			}
		}
	}
}

// Functions that call one another twice each take as long as a loop.
func TestStraightCallsCountTheirRounds(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	source.WriteString("local function f0(a) return a end ")
	for i := 1; i <= 60; i++ {
		fmt.Fprintf(&source, "local function f%d(a) return f%d(f%d(a)) end ", i, i-1, i-1)
	}
	source.WriteString("return f60(1)")
	if functions, _ := program(t, source.String()).Straight(); functions != 61 {
		t.Fatalf("%d functions are straight", functions)
	}
	vm := newVM()
	if got := eval(t, vm, source.String()); !strings.Contains(got, "more rounds") {
		t.Errorf("it came to %s", got)
	}
	if got := eval(t, vm, "return 1"); got != "1" {
		t.Errorf("the next run: %s", got)
	}
}

func TestTwoProgramsDoNotShareTheirPlaces(t *testing.T) {
	t.Parallel()
	vm := newVM()
	a := program(t, "local function f(x) return x .. 'a' end return f(ARGV[1])")
	b := program(t, "local function f(x, y) return x .. 'b' .. y end return f(ARGV[1], 'c')")
	for _, arg := range []string{"1", "2", "3"} {
		for p, want := range map[*engine.Program]string{a: arg + "a", b: arg + "bc"} {
			if r, err := vm.Run(p, nil, []string{arg}); err != nil || r.Str != want {
				t.Errorf("%+v, %v, want %s", r, err, want)
			}
		}
	}
}
