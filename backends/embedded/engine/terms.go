package engine

import (
	"math"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// terms returns nil if one of the expressions isn't straight.
func (s *straightener) terms(list []ast.Expr) []term {
	terms := make([]term, len(list))
	for i, e := range list {
		if terms[i] = s.term(e); terms[i] == nil {
			return nil
		}
	}
	return terms
}

// term returns nil if an expression isn't straight, as do the functions below.
func (s *straightener) term(e ast.Expr) term {
	if v, ok := constant(e); ok {
		return func(*VM) lua.LValue { return v }
	}
	switch e := e.(type) {
	case *ast.IdentExpr:
		return s.name(e)
	case *ast.AttrGetExpr:
		return s.field(e)
	case *ast.FuncCallExpr:
		return s.callTerm(e)
	case *ast.LogicalOpExpr:
		return s.logical(e)
	case *ast.RelationalOpExpr:
		return s.relation(e)
	case *ast.ArithmeticOpExpr:
		return s.arithmetic(e)
	case *ast.UnaryNotOpExpr:
		if v := s.term(e.Expr); v != nil {
			return func(vm *VM) lua.LValue { return lua.LBool(!lua.LVAsBool(v(vm))) }
		}
	case *ast.UnaryLenOpExpr:
		if v := s.term(e.Expr); v != nil {
			return func(vm *VM) lua.LValue { return vm.length(v(vm)) }
		}
	}
	return nil
}

// name is a local, a constant of the script's head, KEYS or ARGV.
func (s *straightener) name(e *ast.IdentExpr) term {
	if slot, ok := s.local(e.Value); ok {
		return func(vm *VM) lua.LValue { return vm.slots[slot] }
	}
	if v, ok := s.constants[e.Value]; ok {
		return func(*VM) lua.LValue { return v }
	}
	switch s.names.given(e) {
	case "KEYS":
		return func(vm *VM) lua.LValue { return vm.tables[0] }
	case "ARGV":
		return func(vm *VM) lua.LValue { return vm.tables[1] }
	}
	return nil
}

// given is KEYS or ARGV if an expression names one of these for certain.
func (n *names) given(e ast.Expr) string {
	name, isIdent := e.(*ast.IdentExpr)
	if !isIdent || name.Value != "KEYS" && name.Value != "ARGV" || n.declared[name.Value] || n.assigned[name.Value] {
		return ""
	}
	return name.Value
}

func (s *straightener) field(e *ast.AttrGetExpr) term {
	object, key := s.term(e.Object), s.term(e.Key)
	if object == nil || key == nil {
		return nil
	}
	return func(vm *VM) lua.LValue {
		of := object(vm)
		if t, isTable := of.(*lua.LTable); isTable {
			return t.RawGet(key(vm))
		}
		return vm.state.GetTable(of, key(vm)) // raises, but for a method of a string
	}
}

// list is a new table of the values, for the caller of the function.
func (s *straightener) list(e *ast.TableExpr) term {
	values := make([]ast.Expr, len(e.Fields))
	for i, f := range e.Fields {
		if f.Key != nil {
			return nil
		}
		values[i] = f.Value
	}
	terms := s.terms(values)
	if terms == nil || len(terms) > sharedLen {
		return nil
	}
	return func(vm *VM) lua.LValue {
		t := vm.shared.list(vm.state, len(terms))
		for i, v := range terms {
			t.RawSetInt(i+1, v(vm))
		}
		return t
	}
}

func (s *straightener) callTerm(e *ast.FuncCallExpr) term {
	if e.Receiver != nil {
		return nil
	}
	if name, isIdent := e.Func.(*ast.IdentExpr); isIdent {
		if _, isLocal := s.local(name.Value); isLocal {
			return nil
		}
		if f := s.functions[name.Value]; f != nil {
			return s.callStraight(f, e.Args)
		}
	}
	f := s.names.ours(e.Func)
	if f == nil {
		return nil
	}
	if known, rest := knownCommand(e); known != nil {
		return s.callOurs(known, rest)
	}
	return s.callOurs(f, e.Args)
}

// knownCommand is a call of redis.call or redis.pcall whose command the script names: it
// need not be looked for in each run.
func knownCommand(e *ast.FuncCallExpr) (f libraryFunction, rest []ast.Expr) {
	path, _ := pathOf(e.Func)
	if path != "redis.call" && path != "redis.pcall" || len(e.Args) == 0 {
		return nil, nil
	}
	name, isString := e.Args[0].(*ast.StringExpr)
	if !isString {
		return nil, nil
	}
	c := keyspace.Find(name.Value)
	if c == nil {
		return nil, nil
	}
	return func(vm *VM, args []lua.LValue) lua.LValue {
		vm.args = append(vm.args[:0], name.Value)
		return vm.answer(vm.run(c, args), path == "redis.call")
	}, e.Args[1:]
}

// ours is the library function of ours that an expression names for certain, or nil. All
// return one value.
func (n *names) ours(e ast.Expr) libraryFunction {
	if !bindable(e) {
		return nil
	}
	path, root := pathOf(e)
	if n.declared[root] || n.assigned[root] || path == tick {
		return nil
	}
	attr, isAttr := e.(*ast.AttrGetExpr)
	if !isAttr {
		return base[path]
	}
	name := attr.Key.(*ast.StringExpr).Value
	if root == "redis" {
		return redisLibrary[name]
	}
	return libraries[root][name]
}

// arguments puts values in places of their own, from first to last. They are not the places
// of a function's parameters, since an argument may be of a call of the same function. A
// constant stays in its place.
func (s *straightener) arguments(args []ast.Expr) (first, last int, put step) {
	first, last = len(s.slots), len(s.slots)+len(args)
	s.slots = append(s.slots, make([]lua.LValue, len(args))...)
	var slots []int
	var values []term
	for i, e := range args {
		v, ok := constant(e)
		s.slots[first+i] = v
		if ok {
			continue
		}
		slots, values = append(slots, first+i), append(values, s.term(e))
		if values[len(values)-1] == nil {
			return 0, 0, nil
		}
	}
	return first, last, assign(slots, values)
}

func (s *straightener) callStraight(f *straight, args []ast.Expr) term {
	first, last, put := s.arguments(args)
	if put == nil || len(args) != len(f.params) {
		return nil
	}
	return func(vm *VM) lua.LValue {
		put(vm)
		for i, v := range vm.slots[first:last] {
			vm.slots[f.params[i]] = v
		}
		return f.call(vm)
	}
}

func (s *straightener) callOurs(f libraryFunction, args []ast.Expr) term {
	first, last, put := s.arguments(args)
	if put == nil {
		return nil
	}
	return func(vm *VM) lua.LValue {
		put(vm)
		return f(vm, vm.slots[first:last])
	}
}

func (s *straightener) logical(e *ast.LogicalOpExpr) term {
	left, right, and := s.term(e.Lhs), s.term(e.Rhs), e.Operator == "and"
	if left == nil || right == nil {
		return nil
	}
	return func(vm *VM) lua.LValue {
		if v := left(vm); lua.LVAsBool(v) != and {
			return v
		}
		return right(vm)
	}
}

func (s *straightener) relation(e *ast.RelationalOpExpr) term {
	left, right := s.term(e.Lhs), s.term(e.Rhs)
	if left == nil || right == nil {
		return nil
	}
	switch e.Operator {
	case "==":
		return func(vm *VM) lua.LValue { return lua.LBool(left(vm) == right(vm)) }
	case "~=":
		return func(vm *VM) lua.LValue { return lua.LBool(left(vm) != right(vm)) }
	case "<":
		return func(vm *VM) lua.LValue { a := left(vm); return lua.LBool(vm.state.LessThan(a, right(vm))) }
	case ">":
		return func(vm *VM) lua.LValue { a := left(vm); return lua.LBool(vm.state.LessThan(right(vm), a)) }
	case "<=":
		return func(vm *VM) lua.LValue { a := left(vm); return lua.LBool(vm.atMost(a, right(vm))) }
	}
	return func(vm *VM) lua.LValue { a := left(vm); return lua.LBool(vm.atMost(right(vm), a)) }
}

// atMost is the operator <=. It is false where either is no number.
func (vm *VM) atMost(a, b lua.LValue) bool {
	m, ok := a.(lua.LNumber)
	n, both := b.(lua.LNumber)
	if ok && both {
		return m <= n
	}
	return !vm.state.LessThan(b, a)
}

func (s *straightener) arithmetic(e *ast.ArithmeticOpExpr) term {
	left, right := s.term(e.Lhs), s.term(e.Rhs)
	if left == nil || right == nil || e.Operator != "+" && e.Operator != "-" {
		return nil
	}
	sign := 1.0
	if e.Operator == "-" {
		sign = -1
	}
	return func(vm *VM) lua.LValue {
		a := vm.operand(left(vm))
		return vm.boxes.number(a + sign*vm.operand(right(vm)))
	}
}

// operand is a number, or a string that reads as one.
func (vm *VM) operand(v lua.LValue) float64 {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		if n, ok := parseNumber(string(v), 10); ok {
			return n
		}
	}
	vm.state.RaiseError("attempt to perform arithmetic on a %s value", v.Type())
	return math.NaN()
}

// length is the operator #.
func (vm *VM) length(v lua.LValue) lua.LValue {
	switch v := v.(type) {
	case lua.LString:
		return vm.boxes.number(float64(len(v)))
	case *lua.LTable:
		return vm.boxes.number(float64(v.Len()))
	}
	vm.state.RaiseError("attempt to get length of a %s value", v.Type())
	return lua.LNil
}
