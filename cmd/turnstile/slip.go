package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand adds to cobra's error of a command that there is not, which has no
// type of its own, what may have been meant. Other errors are passed on.
func unknownCommand(root *cobra.Command, err error) error {
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
	return usage("unknown command %q%s", name, meant("turnstile ", root.SuggestionsFor(name)))
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
