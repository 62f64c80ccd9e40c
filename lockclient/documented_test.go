package lockclient

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// Each function and method that a user can call has an example of its own, which runs.
func TestEveryExportedFunctionHasAnExample(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/turnstile-go/turnstile/lockclient")
	if err != nil {
		t.Fatal(err)
	}
	functions := pkg.Funcs
	for _, typ := range pkg.Types { // go/doc puts a function with the type that it returns
		functions = append(append(functions, typ.Funcs...), typ.Methods...)
	}
	for _, f := range functions {
		name := f.Name
		if f.Recv != "" {
			name = f.Recv + "." + name
		}
		if len(f.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, e := range f.Examples {
			if e.Output == "" && !e.EmptyOutput {
				t.Errorf("the example of %s has no output, so it does not run", name)
			}
		}
	}
	if len(functions) < 25 {
		t.Errorf("%d functions found: most were not looked at", len(functions))
	}
}
