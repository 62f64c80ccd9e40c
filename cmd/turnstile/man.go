package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan is for whoever packages turnstile; `make man` runs it. The pages are made
// here and not with cobra/doc, which would bring a Markdown parser into the binary,
// and has no sections but those that a help text has.
func newMan(_ *options) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the man pages into a directory",
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("man takes one directory, got %d", len(args))
			}
			for _, c := range documented(cmd.Root()) {
				page := filepath.Join(args[0], pageOf(c)+".1")
				if err := os.WriteFile(page, []byte(manPage(c)), 0o644); err != nil {
					return usage("%w", err)
				}
			}
			return nil
		},
	}
}

// documented are the commands that have a page: turnstile, and what it lists.
func documented(root *cobra.Command) []*cobra.Command {
	pages := []*cobra.Command{root}
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			pages = append(pages, c)
		}
	}
	return pages
}

func pageOf(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// A row is a term and what it means.
type row struct{ term, text string }

var variables = []row{
	{"TURNSTILE_BACKEND", "The URL of the backend, as for --backend. The place for one that has a password."},
	{"TURNSTILE_KEY_PREFIX", "What is put before every key, as for --prefix."},
	{"TURNSTILE_TIMEOUT", "How long run waits, as for its --timeout."},
	{"TURNSTILE_EXPIRES", "How long a key outlives its holder's machine, as for --expires of run."},
	{"TURNSTILE_KEY, TURNSTILE_FENCE", "Set by run for its command: the key, and the fence of its hold."},
}

var files = []row{
	{"/var/tmp/turnstile-UID", "The directory of the default backend, made with mode 0700. One that is a link, or that belongs to another user, is refused."},
}

// manPage is the page of a command, in the man macros.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" turnstile \"Turnstile Manual\"\n", strings.ToUpper(roff(pageOf(c))))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageOf(c)), roff(strings.ToLower(c.Short[:1])+c.Short[1:]))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fR\n", roff(synopsis(c)))
	about, codes, _ := strings.Cut(c.Long, "\n\nExit codes: ")
	if about == "" {
		about = c.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(about))
	if !c.HasParent() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range documented(c)[1:] {
			definition(&b, row{sub.Name(), sub.Short + "; see " + pageOf(sub) + "(1)."})
		}
	}
	flagRows(&b, "OPTIONS", c.LocalNonPersistentFlags())
	flagRows(&b, "OPTIONS OF ALL COMMANDS", c.Root().PersistentFlags())
	if codes == "" {
		codes = plainCodes
	}
	b.WriteString(".SH EXIT STATUS\n" + paragraphs(codes))
	definitions(&b, "ENVIRONMENT", variables)
	definitions(&b, "FILES", files)
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n" + roff(strings.TrimRight(c.Example, "\n")) + "\n.fi\n")
	}
	b.WriteString(".SH SEE ALSO\n" + seeAlso(c) + "\n")
	return b.String()
}

// plainCodes are those of a command that has no others.
const plainCodes = "0 all is well; 64 bad usage, or what the backend can't do; 69 the backend never answered, or refuses; 74 stdout could not be written to."

func synopsis(c *cobra.Command) string {
	if !c.HasParent() {
		return "turnstile COMMAND [flags] [ARG...]"
	}
	return c.UseLine()
}

func seeAlso(c *cobra.Command) string {
	var names []string
	for _, other := range documented(c.Root()) {
		if other != c {
			names = append(names, roff(pageOf(other))+"(1)")
		}
	}
	return strings.Join(append(names, "flock(1)"), ", ")
}

func definitions(b *strings.Builder, title string, rows []row) {
	b.WriteString(".SH " + title + "\n")
	for _, r := range rows {
		definition(b, r)
	}
}

func definition(b *strings.Builder, r row) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(r.term), roff(r.text))
}

// flagRows lists flags as their help does.
func flagRows(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString(".SH " + title + "\n")
	flags.VisitAll(func(f *pflag.Flag) {
		kind, text := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		definition(b, row{strings.TrimSpace(term + " " + kind), text})
	})
}

// paragraphs are text as help texts have it: paragraphs between empty lines, and
// indented lines that stay as they are.
func paragraphs(text string) string {
	var b strings.Builder
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(p, "  ") {
			b.WriteString(".PP\n.nf\n" + roff(p) + "\n.fi\n")
		} else {
			b.WriteString(".PP\n" + roff(p) + "\n")
		}
	}
	return b.String()
}

// roff writes text so that no part of it is taken for a request of roff's.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
