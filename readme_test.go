package turnstile_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/backends/file"
	"github.com/turnstile-go/turnstile/backends/memcache"
	"github.com/turnstile-go/turnstile/backends/open"
	"github.com/turnstile-go/turnstile/backends/redis"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeTableSaysWhatBackendsDeclare keeps the table of backends honest.
func TestReadmeTableSaysWhatBackendsDeclare(t *testing.T) {
	readme := readFile(t, "README.md")
	files, err := file.Open(t.TempDir() + "/locks")
	if err != nil {
		t.Fatal(err)
	}
	server, err := redis.Open(context.Background(), mustParse(t, "redis://127.0.0.1:1/0?lazy=true"), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cached, err := memcache.Open(context.Background(), mustParse(t, "memcache://127.0.0.1:1?lazy=true"))
	if err != nil {
		t.Fatal(err)
	}
	for url, b := range map[string]backends.Backend{
		"embedded://NAME":      embedded.Open(t.Name()),
		"file:///DIR":          files,
		"redis://HOST:PORT/DB": server,
		"memcache://HOST:PORT": cached,
		"open://":              open.New(nil),
	} {
		can := backends.Describe(b)
		row := fmt.Sprintf("| `%s` |", url)
		for _, has := range []bool{can.Exclusive, can.Fair, can.Wakes, can.Fences, can.Inspects} {
			row += map[bool]string{true: " yes |", false: " no |"}[has]
		}
		if !strings.Contains(readme, "\n"+row) {
			t.Errorf("README.md has no row %q", row)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestReadmeShowsTheExample keeps the README's Go code compiling: it is the
// body of an example that runs.
func TestReadmeShowsTheExample(t *testing.T) {
	source := readFile(t, "lockclient/example_test.go")
	_, body, ok := strings.Cut(source, "func ExampleClient_Acquire() {\n")
	body, _, found := strings.Cut(body, "\t// Output:")
	if !ok || !found {
		t.Fatal("the example is not where it was")
	}
	var dedented strings.Builder
	for line := range strings.Lines(body) {
		dedented.WriteString(strings.TrimPrefix(line, "\t"))
	}
	if !strings.Contains(readFile(t, "README.md"), "```go\n"+dedented.String()+"```") {
		t.Errorf("README.md does not show the example as it is:\n%s", dedented.String())
	}
}

// TestReadmeNamesTestsThatExist keeps the table of commands honest: each test that
// it leans on is there under that name.
func TestReadmeNamesTestsThatExist(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			sources.WriteString(readFile(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	readme := readFile(t, "README.md")
	tests := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]+)`").FindAllStringSubmatch(readme, -1)
	if len(tests) == 0 {
		t.Error("README.md names no test: nothing was checked")
	}
	for _, m := range tests {
		if !strings.Contains(sources.String(), "\nfunc "+m[1]+"(") {
			t.Errorf("README.md names %s, which does not exist", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`(testdata/[a-z/]+[.]txtar)`").FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat(filepath.Join("cmd/turnstile", m[1])); err != nil {
			t.Error(err)
		}
	}
}
