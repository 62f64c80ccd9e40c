package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

const aboutShow = `Show tells who holds KEY: the holder, its fence, since when, until when unless it is renewed,
and how many processes wait. Where the backend names them (file://, redis://), they are listed
in the order of the queue. Of a key that several hold (run --shared, --slots), each is listed with
a fence that names it for release --fence. A dash is something that the backend can't tell.

That KEY is free is an answer like any other: the exit code is 0.`

func newShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use:               "show KEY",
		Short:             "Tell who holds a key",
		Long:              aboutShow,
		Example:           "  turnstile show nightly\n  turnstile show nightly -o json",
		Args:              oneKey("show"),
		ValidArgsFunction: heldKeys(o),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.resolve(cmd)
			if err != nil {
				return err
			}
			return s.show(cmd.Context(), args[0])
		},
	}
}

// oneKey takes KEY and nothing else.
func oneKey(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("%s takes one key, got %d", name, len(args))
		}
		return checkKey(args[0])
	}
}

// checkKey is the library's check, before anything is opened.
func checkKey(key string) error {
	if key == "" || len(key) > lockclient.MaxKey {
		return usage("a key of %d bytes: 1 to %d", len(key), lockclient.MaxKey)
	}
	return nil // NUL can't be in an argument
}

func (s settings) show(ctx context.Context, key string) error {
	client, err := s.look()
	if err != nil {
		return s.failed(err)
	}
	defer client.Close()
	i, err := client.Inspect(ctx, key)
	switch {
	case err != nil:
		return s.failed(err)
	case s.format == "json":
		return writeJSON(s.stdout, i)
	}
	_, err = fmt.Fprint(s.stdout, portrait(i))
	return err
}

// portrait is what is known of a key, a line each.
func portrait(i lockclient.Info) string {
	rows := [][2]string{{"key", printable(i.Key)}, {"state", stateOf(i) + meaning(i)}}
	if i.Held && !i.Resting {
		rows = append(rows, [2]string{"kind", kindOf(i)})
	}
	switch {
	case len(i.Holders) > 0:
		for _, line := range holderLines(i) {
			rows = append(rows, [2]string{"holder", line})
		}
	case i.Held:
		rows = append(rows, [][2]string{
			{"holder", holderOf(i)},
			{"fence", fenceOf(i)},
			{"held for", ago(i.HeldFor)},
			{"expires in", ago(i.ExpiresIn)},
		}...)
	}
	rows = append(rows, [2]string{"waiting", waitingProcesses(i.Processes)})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%-12s%s\n", r[0]+":", r[1])
	}
	for n, w := range i.Waiters {
		fmt.Fprintf(&b, "%12s%s\n", strconv.Itoa(n+1)+". ", waiterOf(w))
	}
	return b.String()
}

// waiterOf is a waiter in a few words: a.example:123 for 5m3s.
func waiterOf(w lockclient.Waiter) string {
	label := unknown
	if w.Label != nil && *w.Label != "" {
		label = cell(*w.Label)
	}
	if w.For != nil {
		label += " for " + ago(w.For)
	}
	return label + wants(w)
}

// meaning explains a state that is not plain.
func meaning(i lockclient.Info) string {
	switch {
	case !i.Held:
		return ""
	case i.Revoked:
		return " (its holder was told to stop, and has not let go yet)"
	case i.Foreign:
		return " (another library's client has it)"
	case i.Resting:
		return " (nobody holds it, and nobody gets it before that is over; the holder is the last one)"
	}
	return ""
}

func waitingProcesses(n *int) string {
	if n == nil {
		return unknown
	}
	return several(*n, "process")
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "es"
}
