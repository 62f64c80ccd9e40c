package engine

import (
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// isChoice reports whether an expression is "a and b" or "a or b".
func isChoice(e ast.Expr) bool {
	_, is := e.(*ast.LogicalOpExpr)
	return is
}

// choose makes of each assignment of a choice
//
//	x, t[i] = a and b, c
//
// the block
//
//	do local «value 0», «value 1» = a and b, c; x, t[i] = «value 0», «value 1» end
//
// For gopher-lua 1.1.2 leaves x as it was, if it is a local, and a is false or nil and no local. With a
// new local it does right.
func (n *names) choose() {
	for _, at := range n.choices {
		assign := (*at).(*ast.AssignStmt)
		values := &ast.LocalAssignStmt{}
		for i, e := range assign.Rhs {
			if !isChoice(e) {
				continue
			}
			name := "value " + strconv.Itoa(i)
			values.Names = append(values.Names, name)
			values.Exprs = append(values.Exprs, e)
			value := &ast.IdentExpr{Value: name}
			value.SetLine(e.Line())
			value.SetLastLine(e.LastLine())
			assign.Rhs[i] = value
		}
		block := &ast.DoBlockStmt{Stmts: []ast.Stmt{values, assign}}
		for _, s := range []ast.Stmt{values, block} {
			s.SetLine(assign.Line())
			s.SetLastLine(assign.LastLine())
		}
		*at = block
	}
}
