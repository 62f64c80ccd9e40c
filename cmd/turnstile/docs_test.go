package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// documents are the pages of the repository that show commands.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(p) != "CHANGELOG.md" { // the changelog names mistaken commands, too
				all[filepath.Base(filepath.Dir(p))+"/"+filepath.Base(p)] = string(text)
			}
		}
	}
	return all
}

// shown are the command lines in a page: in its blocks, and in its text.
func shown(page string) (lines []string) {
	block := regexp.MustCompile("(?ms)^```(?:sh|cron|ini)\n(.*?)^```")
	inline := regexp.MustCompile("`([^`\n]+)`")
	called := regexp.MustCompile(`(?:^|[\s=])(?:[\w./]*/)?turnstile\s.*`)
	for _, m := range block.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(strings.ReplaceAll(m[1], "\\\n", " ")) {
			if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "go ") || strings.HasPrefix(line, "sudo install ") || strings.HasPrefix(line, "redis-cli ") {
				continue
			}
			if found := called.FindString(strings.TrimSuffix(line, "\n")); found != "" {
				lines = append(lines, found)
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(block.ReplaceAllString(page, ""), -1) {
		if strings.HasPrefix(m[1], "turnstile ") && !strings.ContainsAny(m[1], "…[") {
			lines = append(lines, m[1])
		}
	}
	return lines
}

// shellWords splits a line as a shell does, as far as the pages go: quotes, and comments.
func shellWords(line string) (all []string) {
	var word strings.Builder
	quote, begun := rune(0), false
	end := func() {
		if begun {
			all = append(all, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ' || r == '\t':
			end()
		case !begun && (r == '#' || r == '|' || r == '>' || r == '&'):
			return all
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	end()
	return all
}

// TestTheCommandsOfThePagesAreUnderstood parses each command line that a page shows:
// the command is there, and so are its flags, with values that they take.
func TestTheCommandsOfThePagesAreUnderstood(t *testing.T) {
	checked := 0
	for page, text := range documents(t) {
		for _, line := range shown(text) {
			args := shellWords(line)[1:]
			checked++
			var o options
			root := newRoot(&o)
			root.SetOut(io.Discard)
			root.SetErr(io.Discard)
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			switch {
			case err != nil:
				t.Errorf("%s: %s: %v", page, line, err)
			case cmd == root && len(root.Flags().Args()) > 0:
				t.Errorf("%s: %s: no such command", page, line)
			}
		}
	}
	if checked < 40 {
		t.Errorf("%d command lines were found: most were not looked at", checked)
	}
}

// TestTheReferenceNamesEveryFlag holds docs/command.md and the commands against each
// other. bench lists its flags itself, and has its own page.
func TestTheReferenceNamesEveryFlag(t *testing.T) {
	reference := documents(t)["docs/command.md"]
	var known []string
	var o options
	root := newRoot(&o)
	note := func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		known = append(known, "--"+f.Name)
		if !strings.Contains(reference, "`--"+f.Name) {
			t.Errorf("docs/command.md does not name --%s", f.Name)
		}
		if f.Shorthand != "" && !strings.Contains(reference, "`-"+f.Shorthand+"`") {
			t.Errorf("docs/command.md does not name -%s of --%s", f.Shorthand, f.Name)
		}
	}
	root.PersistentFlags().VisitAll(note)
	for _, cmd := range root.Commands() {
		if !slices.Contains([]string{"bench", "man", "help", "completion"}, cmd.Name()) {
			cmd.LocalNonPersistentFlags().VisitAll(note)
		}
		if cmd.IsAvailableCommand() && cmd.Name() != "help" && !strings.Contains(reference, "`turnstile "+cmd.Name()) {
			t.Errorf("docs/command.md does not name turnstile %s", cmd.Name())
		}
	}
	rows := regexp.MustCompile("(?m)^\\| (?:`-\\w`, )?`(--[a-z-]+)").FindAllStringSubmatch(reference, -1)
	if len(rows) < 15 {
		t.Errorf("%d flags stand in tables: most were not looked at", len(rows))
	}
	for _, m := range rows {
		if !slices.Contains(known, m[1]) {
			t.Errorf("docs/command.md names %s, which no command has", m[1])
		}
	}
}

// TestTheReferenceNamesEveryExitCode looks for the codes that the command gives.
func TestTheReferenceNamesEveryExitCode(t *testing.T) {
	reference := documents(t)["docs/command.md"]
	for _, code := range []int{
		exitConflict, exitLost, exitUnavailable, exitUsage, exitOutput, exitCannotRun, exitNotFound, exitSignal,
	} {
		if !regexp.MustCompile(`(?m)^\|[^|]*\b` + strconv.Itoa(code) + `\b`).MatchString(reference) {
			t.Errorf("docs/command.md has no row for exit code %d", code)
		}
	}
}
