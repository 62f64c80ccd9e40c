package turnstile_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
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

// TestTablesSayWhatBackendsDeclare keeps the tables of backends honest.
func TestTablesSayWhatBackendsDeclare(t *testing.T) {
	readme, page := readFile(t, "README.md"), readFile(t, "docs/backends.md")
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
		for _, has := range []bool{can.Exclusive, can.Fair, can.Wakes, can.Fences, can.Inspects, can.Kinds, can.Rests} {
			row += map[bool]string{true: " yes |", false: " no |"}[has]
		}
		short := row[:strings.LastIndex(row[:len(row)-1], "|")+1] // the README doesn't tell of rests
		for _, table := range []struct{ name, text, row string }{{"README.md", readme, short}, {"docs/backends.md", page, row}} {
			if !strings.Contains(table.text, "\n"+table.row) {
				t.Errorf("%s has no row %q", table.name, table.row)
			}
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
