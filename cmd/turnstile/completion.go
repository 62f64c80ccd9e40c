package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

const aboutCompletion = `Completion prints a script with which SHELL completes turnstile's commands, flags, and the keys
that are held at the moment.

  bash        source <(turnstile completion bash), in ~/.bashrc, or once for all users:
              turnstile completion bash >/etc/bash_completion.d/turnstile
  zsh         turnstile completion zsh >"${fpath[1]}/_turnstile", after compinit is on
  fish        turnstile completion fish >~/.config/fish/completions/turnstile.fish
  powershell  turnstile completion powershell | Out-String | Invoke-Expression, in the profile

The keys are those on the backend that --backend or TURNSTILE_BACKEND names; a backend that does
not answer within half a second shows none.`

// newCompletion takes the place of cobra's own command, which explains itself for a
// page a shell, and takes a wrong shell for a question.
func newCompletion(_ *options) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print a script for a shell's completion",
		Long:      aboutCompletion,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("completion takes one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return bashCompletion(root, w)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return usage("completion for %q: only for %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// bashCompletion is cobra's script, made to work without the package bash-completion:
// without it cobra still calls a function of that package, and every Tab prints an
// error. This script splits the line at blanks; the eval that calls turnstile puts
// quoted words together again.
func bashCompletion(root *cobra.Command, w io.Writer) error {
	var script bytes.Buffer
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	const theirs = `    _get_comp_words_by_ref "$@" cur prev words cword
`
	const ours = `    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    cword=$((${#words[@]}-1))
    cur=${words[cword]}
    prev=${words[cword-1]}
`
	_, err := strings.NewReplacer(theirs, ours).WriteString(w, script.String())
	return err
}

// completionPatience is how long a person who pressed Tab waits for the backend.
const completionPatience = 500 * time.Millisecond

// heldKeys completes KEY by the keys that are held. Whatever fails is silence: a
// prompt is no place for an error.
func heldKeys(o *options) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if cmd.Name() == "run" { // its command, and that one's own arguments
				return nil, cobra.ShellCompDirectiveDefault
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s, err := o.resolve(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		s.log = slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		found := make(chan []cobra.Completion, 1)
		go func() { found <- s.keys(ctx, begun) }() // ends with ctx, or with the process
		select {
		case keys := <-found:
			return keys, cobra.ShellCompDirectiveNoFileComp
		case <-ctx.Done():
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// keys are the held keys that begin as the person did, each with its holder.
func (s settings) keys(ctx context.Context, begun string) []cobra.Completion {
	client, err := s.look()
	if err != nil {
		return nil
	}
	defer client.Close()
	infos, err := client.List(ctx)
	if err != nil {
		return nil
	}
	var keys []cobra.Completion
	for _, i := range infos {
		if strings.HasPrefix(i.Key, begun) && typeable(i.Key) {
			keys = append(keys, cobra.CompletionWithDesc(i.Key, held(i)+heldSince(i)))
		}
	}
	return keys
}

// held is in whose hands a key is, in a few words.
func held(i lockclient.Info) string {
	if i.Kind != lockclient.KindExclusive {
		return together(i.Kind, i.Out)
	}
	return "held by " + owner(i)
}

func heldSince(i lockclient.Info) string {
	if i.HeldFor == nil {
		return ""
	}
	return " for " + ago(i.HeldFor)
}

// typeable leaves out keys with what a shell acts on, or that begin like a flag. The
// scripts quote a word, but readline puts what several have in common on the line as
// it is: a key that somebody else made must not become a command there.
func typeable(key string) bool {
	for _, r := range key {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._:/@+=,%-", r) {
			return false
		}
	}
	return utf8.ValidString(key) && !strings.HasPrefix(key, "-")
}

// completeFlags says what the values of flags can be; without a word, a shell offers
// the names of files.
func completeFlags(cmd *cobra.Command, values map[string][]cobra.Completion) {
	for flag, v := range values {
		directive := cobra.ShellCompDirectiveNoFileComp
		if len(v) > 0 && strings.HasSuffix(v[0], "/") {
			directive |= cobra.ShellCompDirectiveNoSpace // the rest of a URL follows
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(v, directive)); err != nil {
			panic("turnstile: " + err.Error()) // there is no such flag
		}
	}
}
