package engine

import (
	"slices"

	"github.com/yuin/gopher-lua/ast"
)

// names is what a script does with names, scopes disregarded: a name that is
// declared or assigned anywhere counts as taken everywhere. That is coarse, and
// errs towards changing nothing.
type names struct {
	declared, assigned map[string]bool
	again              map[string]bool // declared more than once

	tables tables

	// uses are the reads of names that may be bound, where they stand.
	uses []*ast.Expr

	// For meter.
	loops     []loop
	functions []*function // the innermost that is being read is current
	current   *function

	choices []*ast.Stmt // see choose

	jump int // the line of a goto, if there is one
}

// survey reads a whole script.
func survey(chunk []ast.Stmt) *names {
	n := &names{declared: map[string]bool{}, assigned: map[string]bool{}, again: map[string]bool{}}
	n.block(chunk)
	return n
}

// bind replaces every read of a bindable name by a local of its own, and
// returns the statement that declares these locals. Their names hold a space,
// so that no script can know them.
func (n *names) bind(chunk []ast.Stmt) *ast.LocalAssignStmt {
	decl := &ast.LocalAssignStmt{}
	for _, use := range n.uses {
		path, root := pathOf(*use)
		if n.declared[root] || n.assigned[root] {
			continue
		}
		name := "bound " + path
		if !slices.Contains(decl.Names, name) {
			decl.Names = append(decl.Names, name)
			decl.Exprs = append(decl.Exprs, *use)
		}
		local := &ast.IdentExpr{Value: name}
		local.SetLine((*use).Line())
		local.SetLastLine((*use).LastLine())
		*use = local
	}
	if len(chunk) > 0 {
		decl.SetLine(chunk[0].Line())
		decl.SetLastLine(chunk[0].Line())
	}
	return decl
}

// pathOf names a bindable expression and the global that it starts from.
func pathOf(e ast.Expr) (path, root string) {
	if attr, ok := e.(*ast.AttrGetExpr); ok {
		root = attr.Object.(*ast.IdentExpr).Value
		return root + "." + attr.Key.(*ast.StringExpr).Value, root
	}
	root = e.(*ast.IdentExpr).Value
	return root, root
}

// bindable: a global function or table of the sandbox, or a member of one of
// its libraries. What isn't there must go on failing where it is read.
func bindable(e ast.Expr) bool {
	switch e := e.(type) {
	case nil:
		return false // the callee of a method's call
	case *ast.IdentExpr:
		_, isBase := base[e.Value]
		return isBase || e.Value == "KEYS" || e.Value == "ARGV"
	case *ast.AttrGetExpr:
		object, isIdent := e.Object.(*ast.IdentExpr)
		key, isString := e.Key.(*ast.StringExpr)
		if !isIdent || !isString {
			return false
		}
		return member(object.Value, key.Value)
	}
	return false
}

func (n *names) block(stmts []ast.Stmt) {
	for i, s := range stmts {
		n.statement(s)
		if assign, ok := s.(*ast.AssignStmt); ok && slices.ContainsFunc(assign.Rhs, isChoice) {
			n.choices = append(n.choices, &stmts[i])
		}
	}
}

func (n *names) declare(list ...string) {
	for _, name := range list {
		n.again[name] = n.again[name] || n.declared[name]
		n.declared[name] = true
	}
}

func (n *names) statement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		n.targets(s.Lhs)
		n.expressions(s.Rhs)
	case *ast.LocalAssignStmt:
		n.tables.declare(s)
		n.declare(s.Names...)
		n.expressions(s.Exprs)
	case *ast.FuncCallStmt:
		n.expression(&s.Expr)
	case *ast.DoBlockStmt:
		n.block(s.Stmts)
	case *ast.WhileStmt:
		n.expression(&s.Condition)
		n.loop(s, &s.Stmts)
	case *ast.RepeatStmt:
		n.loop(s, &s.Stmts)
		n.expression(&s.Condition)
	case *ast.IfStmt:
		n.expression(&s.Condition)
		n.block(s.Then)
		n.block(s.Else)
	case *ast.NumberForStmt:
		n.declare(s.Name)
		n.expression(&s.Init)
		n.expression(&s.Limit)
		n.expression(&s.Step)
		n.loop(s, &s.Stmts)
	case *ast.GenericForStmt:
		n.declare(s.Names...)
		n.expressions(s.Exprs)
		n.loop(s, &s.Stmts)
	case *ast.FuncDefStmt:
		if s.Name.Func != nil {
			n.targets([]ast.Expr{s.Name.Func})
		} else {
			n.tables.written = append(n.tables.written, s.Name.Receiver)
			n.targets([]ast.Expr{s.Name.Receiver})
		}
		n.function(s.Func)
	case *ast.ReturnStmt:
		n.expressions(s.Exprs)
	case *ast.GotoStmt:
		n.jump = s.Line()
	}
}

// targets are expressions that are written to. Of t.x.y, only t could be a name
// of ours, and writing to its fields fails when it runs, as it should.
func (n *names) targets(list []ast.Expr) {
	for _, e := range list {
		switch e := e.(type) {
		case *ast.IdentExpr:
			n.assigned[e.Value] = true
		case *ast.AttrGetExpr:
			n.tables.written = append(n.tables.written, e.Object)
			n.expression(&e.Object)
			n.expression(&e.Key)
		}
	}
}

func (n *names) loop(s ast.Stmt, body *[]ast.Stmt) {
	n.loops = append(n.loops, loop{body, s.Line()})
	n.block(*body)
}

func (n *names) function(f *ast.FunctionExpr) {
	outer := n.current
	n.current = &function{expr: f}
	n.functions = append(n.functions, n.current)
	n.declare(f.ParList.Names...)
	n.block(f.Stmts)
	n.current = outer
}

// call notes a call of the function that is being read; of the script's body it
// doesn't matter.
func (n *names) call(e *ast.FuncCallExpr) {
	if n.current != nil {
		n.current.calls = append(n.current.calls, e.Func)
	}
}

func (n *names) expressions(list []ast.Expr) {
	for i := range list {
		n.expression(&list[i])
	}
}

func (n *names) expression(at *ast.Expr) {
	if *at == nil {
		return
	}
	n.tables.read(*at)
	if bindable(*at) {
		n.uses = append(n.uses, at)
		return
	}
	switch e := (*at).(type) {
	case *ast.AttrGetExpr:
		n.expression(&e.Object)
		n.expression(&e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			n.expression(&f.Key)
			n.expression(&f.Value)
		}
	case *ast.FuncCallExpr:
		n.call(e)
		n.expression(&e.Func)
		n.expression(&e.Receiver)
		n.expressions(e.Args)
	case *ast.LogicalOpExpr:
		n.expression(&e.Lhs)
		n.expression(&e.Rhs)
	case *ast.RelationalOpExpr:
		n.expression(&e.Lhs)
		n.expression(&e.Rhs)
	case *ast.StringConcatOpExpr:
		call := n.internal(join, operands(nil, e)...)
		n.expressions(call.Args)
		call.SetLine(e.Line())
		call.SetLastLine(e.LastLine())
		call.Func.SetLine(e.Line())
		*at = call
	case *ast.ArithmeticOpExpr:
		n.expression(&e.Lhs)
		n.expression(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		n.expression(&e.Expr)
	case *ast.UnaryNotOpExpr:
		n.expression(&e.Expr)
	case *ast.UnaryLenOpExpr:
		n.expression(&e.Expr)
	case *ast.FunctionExpr:
		n.function(e)
	}
}
