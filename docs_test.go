package turnstile_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are what people read: every Markdown file of the repository, by its path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "build") {
			return filepath.SkipDir
		}
		if err == nil && strings.HasSuffix(path, ".md") {
			all[filepath.ToSlash(path)] = readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"README.md", "docs/command.md", "docs/design.md", "CONTRIBUTING.md"} {
		if all[must] == "" {
			t.Fatalf("%s is missing or empty: nothing was checked", must)
		}
	}
	return all
}

var (
	fences  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	sources = regexp.MustCompile(`(?:src|srcset|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestLinksResolve follows every link between the pages, to its file and its heading.
func TestLinksResolve(t *testing.T) {
	all := pages(t)
	checked := 0
	for page, text := range all {
		prose := fences.ReplaceAllString(text, "")
		found := append(links.FindAllStringSubmatch(prose, -1), sources.FindAllStringSubmatch(prose, -1)...)
		for _, m := range found {
			checked++
			if err := resolves(all, page, m[1]); err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d links found: most were not looked at", checked)
	}
}

func resolves(all map[string]string, page, link string) error {
	if strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://") {
		return nil // the network is no part of a test
	}
	path, anchor, hasAnchor := strings.Cut(link, "#")
	target := page
	if path != "" {
		target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
		if _, err := os.Stat(target); err != nil {
			return err
		}
	}
	if !hasAnchor {
		return nil
	}
	for _, h := range heading.FindAllStringSubmatch(fences.ReplaceAllString(all[target], ""), -1) {
		if slug(h[1]) == anchor {
			return nil
		}
	}
	return fmt.Errorf("%s has no such heading", target)
}

// slug is the anchor that GitHub gives a heading.
func slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TestSnippetsAreGo keeps the Go code of the pages code: what stands under a comment
// that names an example is its body to the letter, and the rest parses.
func TestSnippetsAreGo(t *testing.T) {
	examples := readFile(t, "lockclient/example_test.go")
	named := regexp.MustCompile("(?s)<!-- the body of (Example[A-Za-z_]+); a test compares them -->\n```go\n(.*?)```")
	shown := 0
	for page, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			shown++
			if want := bodyOf(t, examples, m[1]); m[2] != want {
				t.Errorf("%s does not show %s as it is:\n%s", page, m[1], want)
			}
		}
		for _, m := range fences.FindAllStringSubmatch(text, -1) {
			if m[1] != "go" {
				continue
			}
			if err := parses(m[2]); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, m[2])
			}
		}
	}
	if shown < 2 {
		t.Errorf("%d examples are shown: the README and the quickstart have one each", shown)
	}
}

func bodyOf(t *testing.T, source, name string) string {
	t.Helper()
	_, body, ok := strings.Cut(source, "func "+name+"() {\n")
	body, _, found := strings.Cut(body, "\t// Output:")
	if !ok || !found {
		t.Fatalf("%s is not where it was", name)
	}
	var dedented strings.Builder
	for line := range strings.Lines(body) {
		dedented.WriteString(strings.TrimPrefix(line, "\t"))
	}
	return dedented.String()
}

// parses reports whether a snippet is a file, declarations or statements.
func parses(snippet string) error {
	var first error
	for _, as := range []string{"%s", "package p\n%s", "package p\nfunc f() {\n%s\n}"} {
		_, err := parser.ParseFile(token.NewFileSet(), "", fmt.Sprintf(as, snippet), 0)
		if err == nil {
			return nil
		}
		first = err
	}
	return first
}

// TestPagesNameTestsThatExist keeps what the pages lean on there, under that name.
func TestPagesNameTestsThatExist(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			code.WriteString(readFile(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tests, script := regexp.MustCompile(`\b(Test[A-Z][A-Za-z0-9]+)`), regexp.MustCompile("`(testdata/[a-z/]+[.]txtar)`")
	named := 0
	for page, text := range pages(t) {
		for _, m := range tests.FindAllStringSubmatch(text, -1) {
			named++
			if !strings.Contains(code.String(), "\nfunc "+m[1]+"(") {
				t.Errorf("%s names %s, which does not exist", page, m[1])
			}
		}
		for _, m := range script.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("cmd/turnstile", m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if named < 10 {
		t.Errorf("%d tests are named: most were not looked at", named)
	}
}

// TestPagesNameFilesAndTargetsThatExist looks for the paths and the make targets that
// the pages name in code.
func TestPagesNameFilesAndTargetsThatExist(t *testing.T) {
	makefile := readFile(t, "Makefile")
	code := regexp.MustCompile("`([^`\n]+)`")
	path := regexp.MustCompile(`^(?:\./)?((?:actors|backends|bench|cmd|examples|faults|internal|lockclient|scripts|docs|\.ci)(?:/[A-Za-z0-9_./*-]+)?)$`)
	target := regexp.MustCompile(`\bmake ([a-z][a-z-]+)`)
	for page, text := range pages(t) {
		if page == "CHANGELOG.md" { // which tells of what was
			continue
		}
		for _, m := range code.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
			p := path.FindStringSubmatch(strings.TrimSuffix(m[1], "/"))
			if p == nil {
				continue
			}
			if found, err := filepath.Glob(p[1]); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which does not exist", page, p[1])
			}
		}
		var commands strings.Builder
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			commands.WriteString(m[1] + "\n")
		}
		for _, m := range fences.FindAllStringSubmatch(text, -1) {
			if m[1] == "sh" {
				commands.WriteString(m[2])
			}
		}
		for _, m := range target.FindAllStringSubmatch(commands.String(), -1) {
			if m[1] != "deploy" && !regexp.MustCompile(`(?m)^`+m[1]+`:`).MatchString(makefile) { // deploy is the reader's own
				t.Errorf("%s: make %s: no such target", page, m[1])
			}
		}
	}
}

// TestTheReadmeIsShort keeps what everybody reads to what everybody needs.
func TestTheReadmeIsShort(t *testing.T) {
	if n := len(strings.Fields(readFile(t, "README.md"))); n > 1000 {
		t.Errorf("README.md has %d words, want at most 1000", n)
	}
}
