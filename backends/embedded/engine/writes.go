package engine

import "github.com/yuin/gopher-lua/ast"

// tables says which tables a script writes to. Most scripts write only to those that they make: after
// such a run the tables that runs share need no inspection.
type tables struct {
	own     map[string]bool // locals that are declared once, as a new table
	written []ast.Expr      // left of the dot or bracket of an assignment
	others  bool            // something else may write: a function of the library table
}

// declare notes the locals that begin as a new table.
func (t *tables) declare(s *ast.LocalAssignStmt) {
	for i, name := range s.Names {
		isTable := false
		if len(s.Names) == len(s.Exprs) {
			_, isTable = s.Exprs[i].(*ast.TableExpr)
		}
		if t.own == nil {
			t.own = make(map[string]bool)
		}
		t.own[name] = isTable
	}
}

// read notes the library table, under its own name or as a whole: insert, remove and sort write.
func (t *tables) read(e ast.Expr) {
	if name, isIdent := e.(*ast.IdentExpr); isIdent && name.Value == "table" {
		t.others = true
	}
	if attr, isAttr := e.(*ast.AttrGetExpr); isAttr && bindable(attr) {
		if path, root := pathOf(attr); root == "table" && path != "table.concat" {
			t.others = true
		}
	}
}

// keepsToItsOwn reports whether a script writes only to tables that it makes itself.
func (n *names) keepsToItsOwn() bool {
	if n.tables.others {
		return false
	}
	for _, e := range n.tables.written {
		name, isIdent := e.(*ast.IdentExpr)
		if !isIdent || !n.tables.own[name.Value] || n.assigned[name.Value] || n.again[name.Value] {
			return false
		}
	}
	return true
}
