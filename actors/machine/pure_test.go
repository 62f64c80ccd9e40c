package machine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the machine may use: of this module the contract, and of the standard library
// what only computes; of time, lengths.
var (
	mayImport = []string{"errors", "fmt", "math", "slices", "time", "github.com/turnstile-go/turnstile/backends"}
	ofTime    = []string{"Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}
)

// TestPure: the machine has no goroutine, channel, clock, randomness, I/O or state
// outside itself.
func TestPure(t *testing.T) {
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		seen++
		f, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range impure(f) {
			t.Errorf("%v: %s", files.Position(fault.at), fault.says)
		}
	}
	if seen == 0 {
		t.Error("there are no files")
	}
}

// TestPureSeesFaults: each thing that may not be there is found where it is.
func TestPureSeesFaults(t *testing.T) {
	for _, code := range []string{
		`import "sync"`, `import "context"`, `import "math/rand/v2"`, `import "os"`, `import "log/slog"`, `import "unsafe"`,
		`import "github.com/turnstile-go/turnstile/actors"`, `import clock "time"`, `import . "time"`,
		"import \"time\"; func f() { time.Now() }", "import \"time\"; var errT = time.AfterFunc", `import "time"; type x struct { t *time.Timer }`,
		`func f() { go f() }`, `func f() { select {} }`, `type x chan int`, `func f(c <-chan int) {}`, `func f() { c <- 1 }`, `func f() { <-c }`,
		`var n int`, `var errors = map[string]int{}`, `func init() {}`,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "", "package machine; "+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(impure(f)) == 0 {
			t.Errorf("no fault in %s", code)
		}
	}
}

type fault struct {
	at   token.Pos
	says string
}

func impure(f *ast.File) (faults []fault) {
	add := func(n ast.Node, says string) { faults = append(faults, fault{n.Pos(), says}) }
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if !slices.Contains(mayImport, path) || i.Name != nil {
			add(i, "imports "+path)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				add(d, "has an init")
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR && !onlyErrors(d) {
				add(d, "has a variable of the package that is no error")
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "starts a goroutine")
		case *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
			add(n, "has a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				add(n, "receives from a channel")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && !slices.Contains(ofTime, n.Sel.Name) {
				add(n, "uses time."+n.Sel.Name)
			}
		}
		return true
	})
	return faults
}

// onlyErrors reports whether all of the variables are named errX and made by errors.New
// or fmt.Errorf.
func onlyErrors(d *ast.GenDecl) bool {
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		for _, name := range v.Names {
			if !strings.HasPrefix(name.Name, "err") {
				return false
			}
		}
		for _, value := range v.Values {
			call, ok := value.(*ast.CallExpr)
			if !ok {
				return false
			}
			made, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return false
			}
			if x, ok := made.X.(*ast.Ident); !ok || x.Name != "errors" && x.Name != "fmt" {
				return false
			}
		}
		if len(v.Values) == 0 {
			return false
		}
	}
	return true
}
