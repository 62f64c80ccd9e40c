package engine

import lua "github.com/yuin/gopher-lua"

// shared are tables for replies that one run after the other uses: a list is two
// allocations in gopher-lua, and a status nine. Nothing of a run outlives it, so its tables
// are free then, after tidy has seen to it that they look new.
type shared struct {
	lists, okays struct {
		all  []*lua.LTable
		used int // by this run
	}
}

// A run that needs more, or longer ones, makes its own.
const (
	sharedTables = 4
	sharedLen    = 16
)

// list is an empty table for n values.
func (s *shared) list(l *lua.LState, n int) *lua.LTable {
	if n > sharedLen || s.lists.used == sharedTables {
		return l.CreateTable(n, 0)
	}
	if s.lists.used == len(s.lists.all) {
		s.lists.all = append(s.lists.all, l.CreateTable(sharedLen, 0))
	}
	s.lists.used++
	return s.lists.all[s.lists.used-1]
}

// okay is {ok = 'OK'}. Scripts look only whether it is there.
func (s *shared) okay(vm *VM) *lua.LTable {
	if s.okays.used == sharedTables {
		return vm.single("ok", "OK")
	}
	if s.okays.used == len(s.okays.all) {
		s.okays.all = append(s.okays.all, vm.single("ok", "OK"))
	}
	s.okays.used++
	return s.okays.all[s.okays.used-1]
}

// reuse takes back what a run had that wrote to none of it.
func (s *shared) reuse() {
	for _, t := range s.lists.all[:s.lists.used] {
		for t.Len() > 0 {
			t.Remove(t.Len())
		}
	}
	s.lists.used, s.okays.used = 0, 0
}

// tidy takes back what a run had. A table that was changed beyond a list's values is
// replaced.
func (s *shared) tidy(vm *VM) {
	for i, t := range s.lists.all[:s.lists.used] {
		if n := t.Len(); n > sharedLen || hasMore(t, n) {
			s.lists.all[i] = vm.state.CreateTable(sharedLen, 0)
			continue
		}
	}
	for i, t := range s.okays.all[:s.okays.used] {
		if t.RawGetString("ok") != okValue || t.Len() > 0 || hasOther(t) {
			s.okays.all[i] = vm.single("ok", "OK")
		}
	}
	s.reuse()
}

var (
	okKey   lua.LValue = lua.LString("ok")
	okValue lua.LValue = lua.LString("OK")
)

// hasMore reports whether a table has a field beside its n values.
func hasMore(t *lua.LTable, n int) bool {
	next, _ := t.Next(lua.LNumber(n))
	return next != lua.LNil
}

// hasOther reports whether a table has a field beside ok.
func hasOther(t *lua.LTable) bool {
	next, _ := t.Next(okKey)
	return next != lua.LNil
}
