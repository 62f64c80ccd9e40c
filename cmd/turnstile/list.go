package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

const aboutLs = `Ls lists the keys that are held, by anybody on the backend, sorted by key.

A dash is something that the backend can't tell. HOLDER is host:pid and the command of a run, or
its --label. FENCE is the newest of the key. WAITING counts processes. A key with spaces, and a
name with characters that a terminal would act on, is quoted as in Go.

KIND is exclusive, or shared by 3, or slots 2 of 3. A key that several processes hold has a line
for each, the first 100, with a FENCE that names it for release --fence. STATE is one of

  held      its holder works
  revoked   its holder was told to stop, and has not let go yet
  foreign   another library's client has it

memcached can't list its keys; ask for one with show.`

func newLs(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the keys that are held",
		Long:    aboutLs,
		Example: `  turnstile ls
  turnstile ls -o json | jq -r '.[] | select(.held_for_seconds > 3600) | .key'`,
		Args:              none("ls"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.resolve(cmd)
			if err != nil {
				return err
			}
			return s.list(cmd.Context())
		},
	}
}

// none refuses arguments.
func none(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("%s takes no arguments", name)
		}
		return nil
	}
}

func (s settings) list(ctx context.Context) error {
	client, err := s.look()
	if err != nil {
		return s.failed(err)
	}
	defer client.Close()
	infos, err := client.List(ctx)
	if errors.Is(err, lockclient.ErrInvalid) { // memcached
		return usage("%s; ask for one: turnstile show KEY", essence(err))
	}
	if err != nil {
		return s.failed(err)
	}
	if s.format == "json" {
		if infos == nil {
			infos = []lockclient.Info{} // an empty list, and not null
		}
		return writeJSON(s.stdout, infos)
	}
	rows := [][]string{{"KEY", "HOLDER", "FENCE", "HELD-FOR", "EXPIRES-IN", "WAITING", "KIND", "STATE"}}
	for _, i := range infos {
		for _, one := range eachHolder(i) {
			rows = append(rows, []string{
				printable(one.Key), holderOf(one), fenceOf(one), ago(one.HeldFor), ago(one.ExpiresIn), count(one.Processes), kindOf(one), stateOf(one),
			})
		}
	}
	return writeTable(s.stdout, rows)
}

// unknown stands for what a backend can't tell, which is not the same as zero.
const unknown = "-"

func holderOf(i lockclient.Info) string {
	if i.Holder == nil || *i.Holder == "" {
		return unknown
	}
	return cell(*i.Holder)
}

// fenceOf leaves out what a foreign holder has not got: the number that is known
// then is that of the last hold of ours.
func fenceOf(i lockclient.Info) string {
	if i.Fence == nil || i.Foreign {
		return unknown
	}
	return strconv.FormatUint(*i.Fence, 10)
}

func count(n *int) string {
	if n == nil {
		return unknown
	}
	return strconv.Itoa(*n)
}

func stateOf(i lockclient.Info) string {
	switch {
	case !i.Held:
		return "free"
	case i.Revoked:
		return "revoked"
	case i.Foreign:
		return "foreign"
	case i.Resting:
		return "resting"
	}
	return "held"
}

// ago is a duration as a person reads it: what matters of it, and no more.
func ago(d *time.Duration) string {
	if d == nil {
		return unknown
	}
	return readable(*d)
}

func readable(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// printable is a name that others chose, made safe for a terminal and for a column:
// quoted if it holds what a terminal would act on, what looks like other text when it
// is shown (bidirectional marks), bytes that are no UTF-8, a space or a quote.
func printable(name string) string {
	plain := name != "" && name != unknown && utf8.ValidString(name)
	for _, r := range name {
		plain = plain && strconv.IsPrint(r) && r != ' ' && r != '"'
	}
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// cell returns a label for a column: like printable, but with single spaces inside,
// since two spaces separate columns. Our own labels have a space: host:pid command.
func cell(label string) string {
	for word := range strings.SplitSeq(label, " ") {
		if printable(word) != word {
			return strconv.Quote(label)
		}
	}
	return label
}

// widest is how wide a column is made. A cell that is wider moves the rest of its
// own row only: one key of 512 bytes must not push all others out of sight.
const widest = 48

// writeTable aligns the columns of rows.
func writeTable(w io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			if n := utf8.RuneCountInString(cell); n <= widest {
				widths[i] = max(widths[i], n)
			}
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
		}
		b.WriteString(row[len(row)-1] + "\n") // no blanks at the end of a line
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeJSON writes a line of JSON, in which < and & are themselves.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
