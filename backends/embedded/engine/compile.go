package engine

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// A Program is a compiled script. It is immutable and can be used by any
// number of VMs.
type Program struct {
	name  string
	proto *lua.FunctionProto
	neat  bool // it writes only to tables of its own

	straight map[string]*straight // its straight functions, by names that no script can know
	way      *way                 // nil: none
	slots    []lua.LValue         // the first contents of the places of their values
}

// Compile compiles a script. name is what its error messages call it.
//
// The script is rearranged so that what can't differ between two runs is done
// once a VM. From
//
//	local KEEP = 60000
//	local function digits(n) return string.format('%.0f', n) end
//	local key = KEYS[1]
//	…
//
// it makes
//
//	local «string.format», «KEYS» = string.format, KEYS
//	local KEEP = 60000
//	local function digits(n) return «string.format»('%.0f', n) end
//	return function()
//	  local key = «KEYS»[1]
//	  …
//	end
//
// and a run calls that last function. What it saves is a closure for every
// function of shared.lua, and two table look-ups for every library call, a run.
// Loops and some functions also count their rounds (meter.go), strings are put
// together by a function of ours (join), and functions without loops become closures of
// Go (straight.go).
//
// gopher-lua compiles "x = a and b" wrongly (choose.go).
//
// It is the same program: a statement is moved only from the script's head,
// only if it is a local function or a local that holds a constant, and only if
// the script never assigns to its name; a library name is bound only if nothing
// in the script declares or assigns it.
func Compile(name, source string) (*Program, error) {
	chunk, err := parse.Parse(strings.NewReader(source), name)
	if err != nil {
		return nil, fmt.Errorf("engine: compiling %s: %w", name, err)
	}
	names := survey(chunk)
	if names.jump > 0 {
		// The Lua of a server has none, and one that jumps back would escape the meter.
		return nil, fmt.Errorf("engine: compiling %s: line %d: no goto in Lua 5.1", name, names.jump)
	}
	p := &Program{name: name, neat: names.keepsToItsOwn()}
	p.proto, err = lua.Compile(p.rearrange(chunk, names), name)
	if err != nil {
		return nil, fmt.Errorf("engine: compiling %s: %w", name, err)
	}
	return p, nil
}

func (p *Program) rearrange(chunk []ast.Stmt, names *names) []ast.Stmt {
	head := 0
	for head < len(chunk) && names.constant(chunk[head]) {
		head++
	}
	p.straighten(names, chunk[:head], chunk[head:])
	names.choose()
	names.meter()
	// Binding is last to look at the tree: it renames what it finds.
	bound := names.bind(chunk)
	body := &ast.FunctionExpr{ParList: &ast.ParList{}, Stmts: chunk[head:]}
	position(body, chunk)
	result := &ast.ReturnStmt{Exprs: []ast.Expr{body}}
	result.SetLine(body.Line())
	result.SetLastLine(body.LastLine())

	out := make([]ast.Stmt, 0, head+2)
	if len(bound.Names) > 0 {
		out = append(out, bound)
	}
	out = append(out, chunk[:head]...)
	return append(out, result)
}

// position gives the new function the lines of the script it stands for.
func position(body *ast.FunctionExpr, chunk []ast.Stmt) {
	body.SetLine(1)
	body.SetLastLine(1)
	if len(chunk) > 0 {
		body.SetLastLine(chunk[len(chunk)-1].LastLine() + 1)
	}
}

// constant says whether a statement does the same in every run, and can't be
// undone by another.
func (n *names) constant(s ast.Stmt) bool {
	local, ok := s.(*ast.LocalAssignStmt)
	if !ok || len(local.Exprs) != len(local.Names) {
		return false
	}
	for i, name := range local.Names {
		if n.assigned[name] {
			return false
		}
		switch local.Exprs[i].(type) {
		case *ast.FunctionExpr, *ast.NumberExpr, *ast.StringExpr, *ast.TrueExpr, *ast.FalseExpr:
		default:
			return false // a table, say, would carry one run's changes to the next
		}
	}
	return true
}
