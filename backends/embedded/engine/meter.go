package engine

import (
	"errors"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

var errBudget = errors.New("script killed: it took more rounds than any lock needs")

// tick is the function that counts a round. No script can name it.
const tick = "count a round"

// round ends a script that runs for ever: every round of a loop, and every call of a
// function that calls functions of the script, calls it first. Code without a loop
// or such a call ends by itself. To count instructions, by a context that gopher-lua
// asks before each, costs a lock on a free key a third of its time.
//
// Once the budget is spent it stays spent until the next run, so a script can't
// catch the error and go on.
func (vm *VM) round([]lua.LValue) lua.LValue {
	if vm.left--; vm.left <= 0 {
		vm.state.RaiseError("%s", errBudget)
	}
	return lua.LNil
}

// meter has the loops and functions of a script count their rounds.
func (n *names) meter() {
	for _, l := range n.loops {
		*l.body = n.counted(*l.body, l.line)
	}
	for _, f := range n.functions {
		if !n.leaf(f) {
			f.expr.Stmts = n.counted(f.expr.Stmts, f.expr.Line())
		}
	}
}

// A loop is one of the script's: its body, and the line on which it begins.
type loop struct {
	body *[]ast.Stmt
	line int
}

// counted is a block that counts a round first. line is where an error of that is said
// to be, since the block may be empty.
func (n *names) counted(block []ast.Stmt, line int) []ast.Stmt {
	call := n.internal(tick)
	stmt := &ast.FuncCallStmt{Expr: call}
	call.SetLine(line)
	call.SetLastLine(line)
	call.Func.SetLine(line)
	stmt.SetLine(line)
	stmt.SetLastLine(line)
	return append([]ast.Stmt{stmt}, block...)
}

// internal is a call of a function of the engine's own.
func (n *names) internal(name string, args ...ast.Expr) *ast.FuncCallExpr {
	call := &ast.FuncCallExpr{Func: &ast.IdentExpr{Value: name}, Args: args, AdjustRet: true}
	n.uses = append(n.uses, &call.Func)
	return call
}

// A function is one of the script's, with the calls of its body.
type function struct {
	expr  *ast.FunctionExpr
	calls []ast.Expr
}

// leaf reports whether a function calls nothing but the library, and there nothing that
// calls back.
func (n *names) leaf(f *function) bool {
	for _, callee := range f.calls {
		if !bindable(callee) {
			return false
		}
		path, root := pathOf(callee)
		if n.declared[root] || n.assigned[root] || path == "pcall" || path == "table.sort" {
			return false
		}
	}
	return true
}
