package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand adds a suggestion to cobra's error for an unknown command, which
// has no type of its own. Other errors are passed on.
func unknownCommand(root *cobra.Command, args []string, err error) error {
	var ours *exitError
	if err == nil || errors.As(err, &ours) {
		return err
	}
	quoted, ok := strings.CutPrefix(err.Error(), "unknown command ")
	name, bad := strconv.QuotedPrefix(quoted)
	if !ok || bad != nil {
		return err
	}
	name, _ = strconv.Unquote(name) // it is one: see above
	rest := args[slices.Index(args, name)+1:]
	return usage("unknown command %q%s", name, meant("turnstile ", intended(root, name, rest)))
}

// intended suggests a command for a name that is none: one with nearly the same
// spelling, one that other tools call by that name, or run without its name. rest
// are the arguments after the name.
func intended(root *cobra.Command, name string, rest []string) []string {
	key, command := "KEY", "COMMAND"
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		key, rest = printable(rest[0]), rest[1:]
	}
	if dashes := slices.Index(rest, "--"); dashes >= 0 && dashes+1 < len(rest) {
		// Its arguments are left out: they may be long, or nobody else's business.
		command = printable(rest[dashes+1])
	}
	switch name {
	case "lock", "exec", "acquire":
		return []string{"run " + key + " -- " + command}
	case "unlock", "free", "rm", "delete", "kill":
		return []string{"release " + key + " --force"}
	case "status", "ps", "info", "get", "who":
		return []string{"ls", "show " + key}
	}
	// Every short name is near every other.
	if near := root.SuggestionsFor(name); len(near) > 0 && len(name) > 2 {
		return near
	}
	switch {
	case command != "COMMAND":
		return []string{"run " + printable(name) + " -- " + command}
	case key != "KEY": // flock(1) has no --
		return []string{"run " + printable(name) + " -- " + key}
	}
	return nil
}

// unknownFlag adds to the parser's error what may have been meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	var none *pflag.NotExistError
	if !errors.As(err, &none) || none.GetSpecifiedShortnames() != "" {
		return usage("%w", err)
	}
	// Cobra has a sense of what is near, but for the names of commands only.
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	return usage("%w%s", err, meant("--", names.SuggestionsFor(none.GetSpecifiedName())))
}

func meant(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + prefix + strings.Join(names, " or "+prefix) + "?"
}
