// Package turnstile_test keeps the rules of the module's layout.
package turnstile_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/turnstile-go/turnstile"

// concrete are the backends, which know nothing of each other.
var concrete = []string{"open", "embedded", "file", "redis", "memcache"}

// TestImportRules keeps each layer from knowing more than the one below it:
// lockclient → actors → actors/machine → backends ← backends/* → scripts; lockclient knows embedded
// and open alone, and cmd and bench pick the others; nothing but the command imports
// bench, and nothing cmd.
func TestImportRules(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		from := strings.TrimPrefix(strings.TrimPrefix(names[0], module), "/")
		packages++
		for _, name := range names[1:] {
			to, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			if why := forbidden(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
	if packages < 8 {
		t.Fatalf("go list found %d packages: the test looks at nothing", packages)
	}
}

// TestAnAppLinksWhatItNames keeps drivers out of a program that locks in process, and
// the package testing out of the shipped command.
func TestAnAppLinksWhatItNames(t *testing.T) {
	for _, c := range []struct {
		from string
		not  []string
	}{
		{"lockclient", []string{"github.com/redis/", "github.com/bradfitz/", module + "/backends/redis", module + "/backends/file", module + "/backends/memcache"}},
		{"cmd/turnstile", []string{"testing"}},
	} {
		out, err := exec.Command("go", "list", "-deps", "./"+c.from).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		linked := strings.Fields(string(out))
		if !slices.Contains(linked, module+"/backends/embedded") {
			t.Fatalf("%s does not even link embedded://: the test looks at nothing", c.from)
		}
		for _, not := range c.not {
			if i := slices.IndexFunc(linked, func(p string) bool { return p == not || strings.HasPrefix(p, not) && strings.Contains(not, "/") }); i >= 0 {
				t.Errorf("%s links %s", c.from, linked[i])
			}
		}
	}
}

// TestForbidden checks the rules themselves.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		from, to string
		bad      bool
	}{
		{"lockclient", "actors", false},
		{"lockclient", "backends/redis", true},
		{"lockclient", "backends/embedded", false},
		{"lockclient", "backends/open", false},
		{"actors", "backends", false},
		{"actors", "internal/logqueue", false},
		{"backends/redis", "internal/logqueue", false},
		{"actors", "internal/servers", true},
		{"actors", "actors/machine", false},
		{"actors/machine", "backends", false},
		{"actors/machine", "actors", true},
		{"actors/machine", "internal/logqueue", true},
		{"lockclient", "actors/machine", true},
		{"backends", "actors/machine", true},
		{"backends/redis", "scripts", false},
		{"backends/redis", "internal/door", false},
		{"backends/redis", "internal/servers", true},
		{"backends/embedded", "backends/embedded/engine", false},
		{"cmd/turnstile", "lockclient", false},
		{"cmd/turnstile", "internal/option", false},
		{"backends/redis", "internal/option", true},
		{"bench", "backends/redis", false},
		{"cmd/turnstile", "bench/report", false},
		{"actors", "bench", true},
		{"actors", "backends/redis", true},
		{"actors", "lockclient", true},
		{"actors", "scripts", true},
		{"backends", "backends/redis", true},
		{"backends/redis", "backends/embedded", true},
		{"backends/redis", "actors", true},
		{"scripts", "backends", true},
		{"lockclient", "scripts", true},
		{"lockclient", "bench", true},
		{"lockclient", "cmd/turnstile", true},
		{"faults", "lockclient", false},
		{"faults", "backends/redis", false},
		{"lockclient", "faults", true},
	} {
		if got := forbidden(c.from, c.to) != ""; got != c.bad {
			t.Errorf("forbidden(%s, %s) = %v, want %v", c.from, c.to, got, c.bad)
		}
	}
}

// forbidden says why a package may not import another; "" if it may.
func forbidden(from, to string) string {
	layer := func(path string) string {
		top, rest, _ := strings.Cut(path, "/")
		switch path {
		case "actors/machine": // pure: it has a layer of its own
			return path
		case "scripts/scripttest": // test support: it knows tokens as well
			return path
		case "internal/logqueue", "internal/door", "internal/option": // know none of ours; the rest of internal is test support
			return path
		}
		if top == "backends" {
			name, _, _ := strings.Cut(rest, "/")
			if slices.Contains(concrete, name) {
				return "backend " + name
			}
		}
		return top
	}
	f, to := layer(from), layer(to)
	allowed := map[string][]string{
		"actors":   {"actors/machine", "backends", "internal/logqueue"},
		"backends": {},
		"scripts":  {},

		"actors/machine": {"backends"},

		"scripts/scripttest": {"scripts", "backends"},
		"lockclient":         {"actors", "backends", "internal/logqueue", "internal/option"},
		"cmd":                {"lockclient", "backends", "internal/option"},
		"bench":              {"lockclient", "actors", "backends", "scripts", "internal"},
		"faults":             {"lockclient", "actors", "backends", "internal"},
		"internal":           {},
		"internal/door":      {},
		"internal/option":    {},
	}
	switch {
	case f == to:
		return ""
	case f == "cmd" && to == "bench": // turnstile bench
		return ""
	case to == "bench" || to == "cmd":
		return "nothing imports " + to
	case strings.HasPrefix(f, "backend "):
		if to == "backends" || to == "scripts" || to == "internal/door" || to == "internal/logqueue" {
			return ""
		}
		return "a backend knows the contract, the scripts, the log's queue and the door to a server only"
	case strings.HasPrefix(to, "backend "):
		always := to == "backend embedded" || to == "backend open"
		if f == "cmd" || f == "bench" || f == "faults" || f == "lockclient" && always {
			return ""
		}
		return "an app links the backends that it names: see backends.Register"
	case !slices.Contains(allowed[f], to):
		return f + " must not know " + to
	}
	return ""
}
