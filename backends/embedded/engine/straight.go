package engine

import (
	"fmt"
	"strconv"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// A straight function is a local function of a script's head that runs as closures of Go
// and not in gopher-lua, where each call of the library costs 70 ns beside its work and
// most of a lock script are such calls.
//
// It has locals, assignments to them, if and return, and no loop. It calls the functions
// of ours in the library, and straight functions before it; so it does not recurse, and
// its locals have fixed places. It returns one value. Anything else of
// Lua, say a table that is written to, leaves a function to gopher-lua.
type straight struct {
	params []int // their places
	run    step
}

// A step is a statement. It returns what the function returns, or nil if that goes on.
type step func(*VM) lua.LValue

// A term is an expression.
type term func(*VM) lua.LValue

// A way is the beginning of a script's body that does for so many keys, and is straight:
//
//	if #KEYS == 2 then … return … end
type way struct {
	keys int
	run  step
}

// straightener finds the straight functions of a script.
type straightener struct {
	names     *names
	constants map[string]lua.LValue // of the script's head so far
	functions map[string]*straight  // likewise

	slots []lua.LValue // the places, with the constants that stay in some
	scope *scope       // of the block that is being read
}

// A scope is a block's locals, by their places.
type scope struct {
	outer *scope
	slots map[string]int
}

// straighten finds what is straight of a script, and puts a name in the place of each
// straight function.
func (p *Program) straighten(n *names, head, body []ast.Stmt) {
	s := &straightener{names: n, constants: map[string]lua.LValue{}, functions: map[string]*straight{}}
	p.straight = map[string]*straight{}
	for _, stmt := range head {
		local := stmt.(*ast.LocalAssignStmt) // see names.constant
		for i, name := range local.Names {
			delete(s.constants, name)
			delete(s.functions, name)
			if v, ok := constant(local.Exprs[i]); ok {
				s.constants[name] = v
			}
			e, isFunction := local.Exprs[i].(*ast.FunctionExpr)
			if !isFunction {
				continue
			}
			if f := s.function(e); f != nil {
				inner := fmt.Sprintf("straight %d %s", len(p.straight), name)
				p.straight[inner], s.functions[name] = f, f
				at := &ast.IdentExpr{Value: inner}
				at.SetLine(e.Line())
				local.Exprs[i] = at
			}
		}
	}
	p.way = s.way(body)
	p.slots = s.slots
}

// way returns nil if a script's body doesn't begin with one.
func (s *straightener) way(body []ast.Stmt) *way {
	if len(body) == 0 {
		return nil
	}
	first, isIf := body[0].(*ast.IfStmt)
	if !isIf || len(first.Else) > 0 || !ends(first.Then) {
		return nil
	}
	condition, isRelation := first.Condition.(*ast.RelationalOpExpr)
	if !isRelation || condition.Operator != "==" {
		return nil
	}
	length, isLength := condition.Lhs.(*ast.UnaryLenOpExpr)
	n, isNumber := condition.Rhs.(*ast.NumberExpr)
	if !isLength || !isNumber || s.names.given(length.Expr) != "KEYS" {
		return nil
	}
	keys, err := strconv.Atoi(n.Value)
	run := s.block(first.Then)
	if err != nil || run == nil {
		return nil
	}
	return &way{keys, run}
}

// constant is the value of an expression that has always the same.
func constant(e ast.Expr) (lua.LValue, bool) {
	switch e := e.(type) {
	case *ast.NumberExpr:
		n, ok := parseNumber(e.Value, 10)
		return lua.LNumber(n), ok
	case *ast.StringExpr:
		return lua.LString(e.Value), true
	case *ast.TrueExpr:
		return lua.LTrue, true
	case *ast.FalseExpr:
		return lua.LFalse, true
	case *ast.NilExpr:
		return lua.LNil, true
	}
	return lua.LNil, false
}

// function returns nil if the function isn't straight.
func (s *straightener) function(e *ast.FunctionExpr) *straight {
	if e.ParList.HasVargs || !ends(e.Stmts) {
		return nil
	}
	f, before := &straight{}, len(s.slots)
	s.scope = &scope{slots: map[string]int{}}
	defer func() { s.scope = nil }()
	for _, name := range e.ParList.Names {
		f.params = append(f.params, s.declare(name))
	}
	if f.run = s.block(e.Stmts); f.run == nil {
		s.slots = s.slots[:before]
		return nil
	}
	return f
}

// ends reports whether a block always ends in a return.
func ends(stmts []ast.Stmt) bool {
	if len(stmts) == 0 {
		return false
	}
	switch last := stmts[len(stmts)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.IfStmt:
		return ends(last.Then) && ends(last.Else)
	}
	return false
}

func (s *straightener) declare(name string) int {
	s.slots = append(s.slots, lua.LNil)
	s.scope.slots[name] = len(s.slots) - 1
	return len(s.slots) - 1
}

// local returns the place of a local that is in sight.
func (s *straightener) local(name string) (slot int, ok bool) {
	for at := s.scope; at != nil; at = at.outer {
		if slot, ok := at.slots[name]; ok {
			return slot, true
		}
	}
	return 0, false
}

// block returns nil if one of the statements isn't straight, as do the functions below.
func (s *straightener) block(stmts []ast.Stmt) step {
	s.scope = &scope{outer: s.scope, slots: map[string]int{}}
	defer func() { s.scope = s.scope.outer }()
	steps := make([]step, len(stmts))
	for i, stmt := range stmts {
		if steps[i] = s.statement(stmt); steps[i] == nil {
			return nil
		}
	}
	return func(vm *VM) lua.LValue {
		for _, step := range steps {
			if v := step(vm); v != nil {
				return v
			}
		}
		return nil
	}
}

func (s *straightener) statement(stmt ast.Stmt) step {
	switch stmt := stmt.(type) {
	case *ast.LocalAssignStmt:
		return s.locals(stmt)
	case *ast.AssignStmt:
		return s.assignment(stmt)
	case *ast.FuncCallStmt:
		if call := s.term(stmt.Expr); call != nil {
			return func(vm *VM) lua.LValue { call(vm); return nil }
		}
	case *ast.IfStmt:
		return s.branch(stmt)
	case *ast.ReturnStmt:
		if len(stmt.Exprs) != 1 {
			return nil
		}
		if list, isTable := stmt.Exprs[0].(*ast.TableExpr); isTable {
			return step(s.list(list))
		}
		return step(s.term(stmt.Exprs[0]))
	}
	return nil
}

func (s *straightener) locals(stmt *ast.LocalAssignStmt) step {
	values := s.terms(stmt.Exprs)
	if values == nil || len(stmt.Names) != len(values) {
		return nil
	}
	slots := make([]int, len(values))
	for i, name := range stmt.Names {
		slots[i] = s.declare(name)
	}
	return assign(slots, values)
}

func (s *straightener) assignment(stmt *ast.AssignStmt) step {
	values := s.terms(stmt.Rhs)
	if len(values) != 1 || len(stmt.Lhs) != 1 {
		return nil
	}
	name, isIdent := stmt.Lhs[0].(*ast.IdentExpr)
	if !isIdent {
		return nil
	}
	slot, ok := s.local(name.Value)
	if !ok {
		return nil
	}
	return assign([]int{slot}, values)
}

// assign may set one after the other, since no value is of a slot that it sets: those
// are new, or there is only one.
func assign(slots []int, values []term) step {
	return func(vm *VM) lua.LValue {
		for i, value := range values {
			vm.slots[slots[i]] = value(vm)
		}
		return nil
	}
}

func (s *straightener) branch(stmt *ast.IfStmt) step {
	condition, then, otherwise := s.term(stmt.Condition), s.block(stmt.Then), s.block(stmt.Else)
	if condition == nil || then == nil || otherwise == nil {
		return nil
	}
	return func(vm *VM) lua.LValue {
		if lua.LVAsBool(condition(vm)) {
			return then(vm)
		}
		return otherwise(vm)
	}
}

// call runs the function on the values in the places of its parameters. Functions that
// call each other twice each could run for ever, so it is a round.
func (f *straight) call(vm *VM) lua.LValue {
	vm.round(nil)
	return f.run(vm)
}

// bridge is the function as gopher-lua calls it.
func (f *straight) bridge(vm *VM) *lua.LFunction {
	return vm.state.NewFunction(func(l *lua.LState) int {
		for i, slot := range f.params {
			vm.slots[slot] = l.Get(i + 1)
		}
		l.Push(f.call(vm))
		return 1
	})
}

func (w *way) bridge(vm *VM) *lua.LFunction {
	return vm.state.NewFunction(func(l *lua.LState) int {
		l.Push(w.run(vm))
		return 1
	})
}
