package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	defaultTimeout = 60 * time.Second
	// defaultExpires is longer than the library's: commands run for longer than
	// critical sections, and one that hangs is renewed all the same.
	defaultExpires = 30 * time.Second
	// defaultGrace is the most that a command gets between TERM and KILL by default.
	defaultGrace = 5 * time.Second
	// graceShare is the part of expires that --kill-after may be at most. A hold is
	// renewed when a third of it has passed, so that two thirds are left; a third of
	// them for the command's end leaves time for renewals to be retried.
	graceShare = 3
)

// A plan is what a run shall do, flags and environment resolved.
type plan struct {
	settings
	key     string
	also    []string      // further keys, to be held as well
	argv    []string      // the command, as it sees itself
	path    string        // its file
	label   string        // the holder's label for others
	timeout time.Duration // how long to wait for the key
	try     bool          // don't wait at all
	expires time.Duration
	// expiresBy is the flag or the variable that said expires.
	expiresBy string
	grace     time.Duration // between TERM and KILL
	longest   time.Duration // that the command may run; 0: as long as it likes
	atLeast   time.Duration // that the keys stay nobody else's; 0: no longer than the command runs
	shared    bool          // others who share may hold the keys as well
	slots     int           // how many may hold the keys at a time; 0: that is not said
	conflict  int           // the exit code when the key was not acquired in time

	// found is the last known state of the key when it was not acquired in time.
	found lockclient.Info
}

// runFlags is where cobra puts the flags of run.
//
// Durations and the code are text here: pflag would quote its own parser's words,
// and know nothing of the environment.
type runFlags struct {
	timeout, expires, grace string // of --timeout, --expires, --kill-after
	maxHold, atLeast        string // of --max-hold, --at-least
	also                    []string
	slots                   string // of --slots
	conflict, label         string // of --conflict-exit-code, --label
	try, shell, shared      bool   // of --nonblock, --command, --shared
}

const aboutRun = `Run waits for KEY, runs COMMAND while it holds KEY, and exits with COMMAND's exit code.
The hold is renewed while COMMAND runs. Flags end at KEY: what follows belongs to COMMAND.

COMMAND has a process group of its own. INT, TERM, HUP, QUIT, USR1 and USR2 are forwarded to the
group; another INT or TERM, 0.3 s after the first or later, kills it. Signals that
turnstile was started with as ignored stay ignored for both. When COMMAND ends, KEY is free:
processes that COMMAND left in the background go on without the lock.

COMMAND finds TURNSTILE_KEY and TURNSTILE_FENCE in its environment. The fence grows with every
hold: send it with each write, and let the resource reject lower ones.

On a terminal, Ctrl-C and Ctrl-\ go to COMMAND as without turnstile, and Ctrl-Z and fg stop and
continue both. A COMMAND that ignores Ctrl-C is killed by Ctrl-Z and then kill %1, twice.

When the hold can't be renewed, the group gets TERM, and KILL before the hold is over.

Exit codes: COMMAND's own, 128+n if it ended by signal n; 75 (or -E) not acquired in time;
76 the hold was lost, or --max-hold was over, while COMMAND ran, or one of several keys was lost
while the others were waited for; 69 the backend never answered;
64 bad usage; 126 COMMAND can't be run, 127 it is not found; 130 interrupted while waiting
(TERM: 143).

With --also, COMMAND runs while it holds all keys, and TURNSTILE_KEY and TURNSTILE_FENCE are those of
KEY. Keys are taken in one order, whatever the order on the command line, so that two runs never
wait for each other.

With --shared, other runs with --shared may hold KEY at the same time, and nobody else. With
--slots N, at most N runs that say --slots N, or less, hold KEY at a time. Each run is judged by
its own N: to change the limit, start new runs with another one. Both wait for those that came
before them, and need a backend that keeps such holds: file:// and redis:// do.

With --at-least, KEY (with --also, each key) stays taken for that long after it was acquired, though
COMMAND ends, fails or crashes before: a job that many machines start at about the same time runs once.

With -E 0 a KEY that was not acquired is no news: nothing is printed, unless -v is given.`

const runExamples = `  turnstile run nightly -- ./backup.sh --full
  turnstile run -n -E 0 cron-job -- ./sync        # skip this run while the last one still runs
  turnstile run -n -E 0 --at-least 30s nightly -- ./report   # once, though each machine's cron starts it
  turnstile run --slots 3 reindex -- ./reindex    # on three machines at most
  turnstile run --shared db -- ./backup.sh        # beside other readers, but not beside a writer
  turnstile run --also db --also cache deploy -- ./migrate
  turnstile run -w 90 -c deploy 'git pull && make deploy'`

func newRun(o *options) *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{
		Use:     "run [flags] KEY -- COMMAND [ARG...]",
		Short:   "Run a command under the lock",
		Long:    aboutRun,
		Example: runExamples,
		// The rest of the line is the command's; plan looks at it.
		Args:                  cobra.ArbitraryArgs,
		ValidArgsFunction:     heldKeys(o),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.resolve(cmd)
			if err != nil {
				return err
			}
			p, err := r.plan(cmd, s, args)
			if err != nil {
				return err
			}
			return p.execute()
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // so that COMMAND's flags stay its own, with or without --
	f.StringVarP(&r.timeout, "timeout", "w", "", "wait up to `DURATION` for KEY: 90, 1m30s, or inf; 0 is one try (env TURNSTILE_TIMEOUT; default 60s)")
	f.BoolVarP(&r.try, "nonblock", "n", false, "don't wait: exit at once if another holds KEY")
	f.StringVar(&r.expires, "expires", "", "KEY is free `DURATION` after its last renewal, if its holder's machine is gone (env TURNSTILE_EXPIRES; default 30s)")
	f.StringVarP(&r.conflict, "conflict-exit-code", "E", "75", "exit with `N` when KEY is not acquired in time")
	f.StringVar(&r.grace, "kill-after", "", "send KILL `DURATION` after TERM; at most a third of --expires (default 5s, or that third)")
	f.StringVar(&r.maxHold, "max-hold", "", "end COMMAND, with exit code 76, when it has run for `DURATION` (default: no limit)")
	f.BoolVar(&r.shared, "shared", false, "others may hold KEY as well, if they say --shared, too")
	f.StringVar(&r.slots, "slots", "", "at most `N` may hold KEY at a time, of those that say --slots N or less; 1 to 10000")
	f.StringArrayVar(&r.also, "also", nil, "hold `KEY` as well, all or none; again for more")
	f.StringVar(&r.atLeast, "at-least", "", "nobody else gets KEY before `DURATION` has passed since it was acquired, at most 24h")
	f.StringVar(&r.label, "label", "", "show others `TEXT` as the holder of KEY, at most 256 bytes (default host:pid and COMMAND's name)")
	f.BoolVarP(&r.shell, "command", "c", false, "COMMAND is one string for /bin/sh -c")
	completeFlags(cmd, map[string][]cobra.Completion{"timeout": nil, "expires": nil, "conflict-exit-code": nil, "kill-after": nil, "max-hold": nil, "at-least": nil, "slots": nil, "label": nil})
	_ = cmd.RegisterFlagCompletionFunc("also", heldKeys(o))
	return cmd
}

// plan completes the flags of run and checks all that can be checked before the
// key is acquired: a wrong command line should not wait a minute to be refused.
func (r *runFlags) plan(cmd *cobra.Command, s settings, args []string) (*plan, error) {
	p := &plan{settings: s, try: r.try}
	var err error
	variable := "TURNSTILE_TIMEOUT"
	if r.try {
		if cmd.Flags().Changed("timeout") {
			return nil, usage("-n does not wait and --timeout does: choose one")
		}
		variable = "" // the flag wins over it, whatever it says
	}
	if p.timeout, err = duration(cmd, parseWait, "timeout", r.timeout, variable, defaultTimeout); err != nil {
		return nil, err
	}
	if p.expires, err = duration(cmd, parseDuration, "expires", r.expires, "TURNSTILE_EXPIRES", defaultExpires); err != nil {
		return nil, err
	}
	p.expiresBy = source(cmd, "expires", "TURNSTILE_EXPIRES")
	if p.expires < lockclient.MinExpires || p.expires > lockclient.MaxExpires {
		return nil, usage("%s %v: %v to %v", p.expiresBy, p.expires, lockclient.MinExpires, lockclient.MaxExpires)
	}
	// Limits of the library's are checked here as well, to say them in the words of
	// the command line, and before anything is opened.
	longest := p.expires / graceShare
	if p.grace, err = duration(cmd, parseDuration, "kill-after", r.grace, "", min(defaultGrace, longest)); err != nil {
		return nil, err
	}
	if p.grace > longest {
		return nil, usage("--kill-after %v: at most a third of expires (%v), or the command could outlive its hold", p.grace, longest)
	}
	if p.conflict, err = strconv.Atoi(r.conflict); err != nil || p.conflict < 0 || p.conflict > 255 {
		return nil, usage("--conflict-exit-code %q: a number from 0 to 255", r.conflict)
	}
	if p.longest, err = duration(cmd, parseDuration, "max-hold", r.maxHold, "", 0); err != nil {
		return nil, err
	}
	if p.longest == 0 && cmd.Flags().Changed("max-hold") {
		return nil, usage("--max-hold 0: COMMAND would be ended at once")
	}
	if p.atLeast, err = duration(cmd, parseDuration, "at-least", r.atLeast, "", 0); err != nil {
		return nil, err
	}
	if p.atLeast > lockclient.MaxExpires {
		return nil, usage("--at-least %v: at most %v", p.atLeast, lockclient.MaxExpires)
	}
	if err := r.kind(cmd, p); err != nil {
		return nil, err
	}
	for _, key := range r.also {
		if err := checkKey(key); err != nil {
			return nil, err
		}
	}
	p.also = r.also
	if p.label = r.label; cmd.Flags().Changed("label") {
		if err := checkText("--label", p.label); err != nil {
			return nil, err
		}
	}
	return p, p.command(args, r.shell)
}

// kind completes the flags that say what the hold may overlap.
func (r *runFlags) kind(cmd *cobra.Command, p *plan) error {
	slotted := cmd.Flags().Changed("slots")
	var err error
	switch p.shared = r.shared; {
	case r.shared && slotted:
		return usage("--shared and --slots: choose one")
	case (r.shared || slotted) && p.atLeast > 0:
		return usage("--at-least keeps KEY from everybody else: it goes with neither --shared nor --slots")
	case !slotted:
		return nil
	}
	if p.slots, err = strconv.Atoi(r.slots); err != nil || p.slots < 1 || p.slots > lockclient.MaxSlots {
		return usage("--slots %q: a number from 1 to %d", r.slots, lockclient.MaxSlots)
	}
	return nil
}

// command takes what follows the flags: KEY, maybe --, and the command.
func (p *plan) command(args []string, shell bool) error {
	if len(args) == 0 {
		return usage("run needs a key and a command: turnstile run [flags] KEY -- COMMAND [ARG...]")
	}
	p.key, p.argv = args[0], args[1:]
	// Only the first -- is ours; a second one is the command's.
	if len(p.argv) > 0 && p.argv[0] == "--" {
		p.argv = p.argv[1:]
	}
	if err := checkKey(p.key); err != nil {
		return err
	}
	switch {
	case len(p.argv) == 0 || p.argv[0] == "":
		return usage("no command to run under %q: turnstile run [flags] KEY -- COMMAND [ARG...]", p.key)
	case shell && len(p.argv) > 1:
		return usage("-c takes one string, got %d: quote it, or leave out -c", len(p.argv))
	case shell:
		p.argv = []string{"/bin/sh", "-c", p.argv[0]}
	}
	if p.label == "" {
		p.label = defaultLabel(p.argv[0])
	}
	return p.find()
}
