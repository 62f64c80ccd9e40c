package engine_test

import (
	"fmt"
	"testing"
)

// TestAChoiceIsAssigned: "x = a and b" gives x the value that the Lua of a server gives it, be x a
// local, a local of an outer function, a field, or one of several. gopher-lua by itself leaves
// a local as it was where a decides.
func TestAChoiceIsAssigned(t *testing.T) {
	client := server(t)
	terms := []string{"no", "none", "three", "f(no)", "f(none)", "f(3)", "three == 3", "three == 4", "not f(three)", "'text'"}
	forms := []string{
		"local x = 9 x = %s return tostring(x)",
		"local x x = %s return tostring(x)",
		"local x = 9 if three == 3 then x = %s end return tostring(x)",
		"local x, y = 9, 8 x, y = %s, 7 return tostring(x) .. tostring(y)",
		"local x, y = 9, 8 x, y = y, %s return tostring(x) .. tostring(y)",
		"local x = 9 x = x == 9 and (%s) return tostring(x)",
		"local x = 9 for _ = 1, 2 do x = %s end return tostring(x)",
		"local x = 9 f(function() x = %s end) local function g() x = %[1]s end g() return tostring(x)",
		"local t = {x = 9} t.x = %s return tostring(t.x)",
		"local i, t = 1, {} i, t[i] = 2, %s return tostring(t[1]) .. tostring(t[2])",
		"local function g(x) x = %s return tostring(x) end return g(9)",
		"local function g(x) for _ = 1, 1 do end x = %s return tostring(x) end return g(9)",
	}
	vm := newVM()
	for _, operator := range []string{"and", "or", "and f(4) or", "or f(4) and"} {
		for _, a := range terms {
			for _, b := range terms {
				for _, form := range forms {
					source := "local no, three = false, 3 local none local function f(a) return a end " +
						fmt.Sprintf(form, a+" "+operator+" "+b)
					want := onRedis(t, client, source, nil)
					if got := eval(t, vm, source); got != want {
						t.Fatalf("%s\n %s\n want %s", source, got, want)
					}
				}
			}
		}
	}
}
