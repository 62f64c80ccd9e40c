package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

// settings are the flags of all commands, resolved.
type settings struct {
	backend string // a URL; may carry a password
	prefix  string // as lockclient.Config has it
	quiet   bool
	verbose bool
	format  string // table or json
	mounts  string // the file that lists the mounts this process sees
	log     *slog.Logger
	stdout  io.Writer
	stderr  io.Writer
}

// options is where cobra puts the flags of all commands, before the environment
// and the defaults are known.
type options struct {
	backend, prefix, format string
	quiet, verbose          bool
}

const about = `Turnstile runs commands under a lock: of all commands that name the same key, one runs at
a time. On one machine that needs no server; on several, Redis or memcached.

A flag wins over its environment variable, and that over the default; an empty
variable counts as unset. A backend URL with a password belongs in the environment,
where ps does not show it; turnstile never prints it.`

// start runs the command line args and returns the exit code.
func start(args []string, stdout, stderr io.Writer) int {
	said := newSpool(stderr)
	defer said.close()
	var o options
	root := newRoot(&o)
	root.SetArgs(args[1:])
	root.SetOut(stdout)
	root.SetErr(said)
	// Cobra prints the error of a help that can't be written, and then reports success.
	var unwritten error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		var page bytes.Buffer
		cmd.SetOut(&page)
		help(cmd, args)
		cmd.SetOut(stdout)
		_, unwritten = stdout.Write(page.Bytes())
	})
	err := unknownCommand(root, args[1:], root.Execute())
	if err == nil {
		err = unwritten
	}
	var e *exitError
	switch {
	case err == nil:
	case errors.As(err, &e) && (e.err == nil || e.quiet && o.quiet):
	default:
		fmt.Fprintln(said, oneLine(err))
	}
	return codeOf(err)
}

func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "turnstile",
		Short: "Run commands under a lock",
		Long:  about,
		// Errors are printed once, on one line, by start; what a command does wrong
		// at run time is no reason to explain the flags.
		SilenceErrors:              true,
		SilenceUsage:               true,
		DisableSuggestions:         true, // cobra's take several lines; ours are added by start
		SuggestionsMinimumDistance: 2,
	}
	f := root.PersistentFlags()
	f.StringVar(&o.backend, "backend", "", "`URL` of the place where leases live: file:///DIR, redis://HOST:PORT/DB, redis+sentinel://…, redis+cluster://…, memcache://HOST:PORT (env TURNSTILE_BACKEND; default file:///var/tmp/turnstile-UID)")
	f.StringVar(&o.prefix, "prefix", "", "`TEXT` put before every key in the backend; \"\" for nothing (env TURNSTILE_KEY_PREFIX; default "+lockclient.DefaultKeyPrefix+")")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no warnings, and no message when the key is not acquired in time")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say on stderr what happens")
	f.StringVarP(&o.format, "output", "o", "table", "`FORMAT` of what is listed: table or json")
	var version bool
	root.Flags().BoolVar(&version, "version", false, "print the version, as the command version does")
	root.SetFlagErrorFunc(unknownFlag)
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if version { // which many try first
			return tellVersion(o, cmd)
		}
		return cmd.Help()
	}
	root.AddCommand(newRun(o), newLs(o), newShow(o), newRelease(o), newBench(o), newVersion(o), newCompletion(o), newMan(o))
	completeFlags(root, map[string][]cobra.Completion{
		"backend": {"file:///", "redis://", "rediss://", "redis+sentinel://", "redis+cluster://", "unix:///", "memcache://"},
		"output":  {"table", "json"},
		"prefix":  nil,
	})
	return root
}

// resolve completes the flags of all commands by the environment and the defaults.
func (o *options) resolve(cmd *cobra.Command) (settings, error) {
	s, err := o.resolveOutput(cmd)
	if err != nil {
		return s, err
	}
	s.backend = text(cmd, "backend", o.backend, "TURNSTILE_BACKEND", defaultBackend())
	if err := checkBackend(source(cmd, "backend", "TURNSTILE_BACKEND"), s.backend); err != nil {
		return s, err
	}
	s.prefix = text(cmd, "prefix", o.prefix, "TURNSTILE_KEY_PREFIX", lockclient.DefaultKeyPrefix)
	if len(s.prefix) > maxPrefix || strings.ContainsRune(s.prefix, 0) {
		return s, usage("%s: at most %d bytes, none of them NUL", source(cmd, "prefix", "TURNSTILE_KEY_PREFIX"), maxPrefix)
	}
	if s.prefix == "" { // only a flag can say so: to the library, empty means the default
		s.prefix = lockclient.NoPrefix
	}
	return s, nil
}

// resolveOutput is resolve for a command that uses no backend, so that nothing which
// is wrong about one can stop it.
func (o *options) resolveOutput(cmd *cobra.Command) (settings, error) {
	s := settings{mounts: "/proc/self/mountinfo", quiet: o.quiet, verbose: o.verbose, format: o.format, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
	if o.quiet && o.verbose {
		return s, usage("-q and -v together: choose one")
	}
	if o.format != "table" && o.format != "json" {
		return s, usage("-o %q: table or json", o.format)
	}
	// Debug has what the library logs of its own work; errors are printed by start.
	level := slog.LevelWarn
	switch {
	case o.quiet:
		level = slog.LevelError
	case o.verbose:
		level = slog.LevelDebug
	}
	s.log = newLogger(cmd.ErrOrStderr(), level)
	return s, nil
}

// stateParent is where the default directory is: a place that outlives a reboot and
// that everybody may write to. The tests have one of their own.
var stateParent = "/var/tmp"

// defaultBackend excludes the processes of one user on one machine. It is the
// same directory whatever the environment says: under cron and sudo there is no
// XDG_RUNTIME_DIR, TMPDIR differs, and two directories would exclude nobody. The
// file backend checks whose it is.
func defaultBackend() string {
	return "file://" + stateParent + "/turnstile-" + strconv.Itoa(os.Getuid())
}

// text is a flag's value by the order of all: flag, environment, default.
func text(cmd *cobra.Command, flag, value, env, fallback string) string {
	if cmd.Flags().Changed(flag) {
		return value
	}
	if v := os.Getenv(env); v != "" {
		return v
	}
	return fallback
}

// maxPrefix is lockclient's limit, checked here as well to say where the prefix stands.
const maxPrefix = 256

// source names the place where a value stands: the flag, or its variable.
func source(cmd *cobra.Command, flag, env string) string {
	if env != "" && !cmd.Flags().Changed(flag) {
		return env
	}
	return "--" + flag
}

// duration is like text, for a duration that parse reads; env is empty if no
// variable sets it. The error names the place where the bad value stands.
func duration(cmd *cobra.Command, parse func(string) (time.Duration, error), flag, value, env string, fallback time.Duration) (time.Duration, error) {
	source := "--" + flag
	if !cmd.Flags().Changed(flag) {
		if source, value = env, os.Getenv(env); env == "" || value == "" {
			return fallback, nil
		}
	}
	d, err := parse(value)
	if err != nil {
		return 0, usage("%s: %w", source, err)
	}
	return d, nil
}
