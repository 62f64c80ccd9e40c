package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmap "github.com/orcaman/concurrent-map"
	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

const aboutBench = `Bench measures lock strategies side by side: Turnstile over each of its backends, what Go has in
process, the loops of earlier libraries, and Lua scripts of your own. Without flags it compares
what needs no server, with 64 goroutines on one key, in well under a minute.

The workload is either one that the flags describe, or --experiments, which vary one thing each:

  contenders   1 to 10000 goroutines on one key
  keys         1 to 1000000 keys
  processes    1 to 8 processes on one key
  round-trip   0 to 20 ms added to each request and its reply
  readers      1 to 1000 goroutines on one key, nine of ten holds shared
  slots        64 goroutines on one key, 1 to 64 of them at a time
  recovery     a holder is killed: how long until the next one has the key
  open-loop    holds planned at a rate, whether or not the last came in time

Each run has a server or a directory of its own. Rounds are interleaved; the table shows the median,
and the lowest and highest in brackets. Every hold is checked: an overlap fails the run.

--script DIR measures acquire.lua, renew.lua and release.lua of a directory, on the embedded engine
and on Redis: what they are given and reply is in the documentation of package bench/strategies.

Bench never uses the backend of --backend and TURNSTILE_BACKEND: it would load it, and count what
others do there. On a busy machine the figures are about the machine.

Exit codes: 0; 1 if locks overlapped or a run failed; 64 bad usage; 69 a server that was named does
not answer; 130 interrupted (TERM: 143), after showing what was measured until then.`

const benchExamples = `  turnstile bench --start-servers --report report.html
  turnstile bench --strategies mutex,channel,turnstile-embedded --keys 10000 --zipf 1.1
  turnstile bench --script ./my-lock --start-servers --processes 4 --goroutines 16
  turnstile bench --experiments all --start-servers --within 5m --save run.json --report run.html
  turnstile bench --from run.json --format gobench | benchstat -col /strategy -`

// benchFlags is where cobra puts the flags of bench.
type benchFlags struct {
	strategies, experiments, scripts []string
	workload                         bench.Workload
	repeat                           int
	within                           time.Duration
	short, start                     bool
	redis, memcached                 string
	out                              outputs
	from                             string
}

func newBench(o *options) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:               "bench [flags]",
		Short:             "Measure lock strategies side by side",
		Long:              aboutBench,
		Example:           benchExamples,
		Args:              none("bench"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.resolve(o, cmd)
			if err != nil {
				return err
			}
			return f.run(cmd, s)
		},
	}
	f.add(cmd)
	return cmd
}

// resolve completes the flags of all commands, of which bench takes no backend.
func (f *benchFlags) resolve(o *options, cmd *cobra.Command) (settings, error) {
	if cmd.Flags().Changed("backend") {
		return settings{}, usage("bench does not use --backend: --start-servers, --redis and --memcached say where servers are")
	}
	s, err := o.resolveOutput(cmd)
	if err != nil {
		return s, err
	}
	if cmd.Flags().Changed("output") {
		f.out.json = f.out.json || s.format == "json"
	}
	return s, f.out.check(cmd)
}

func (f *benchFlags) run(cmd *cobra.Command, s settings) error {
	if len(f.strategies) == 1 && f.strategies[0] == "list" {
		return f.list(s)
	}
	r, err := f.report(cmd, s)
	if r == nil {
		return err
	}
	return errors.Join(f.out.write(s.stdout, r), err)
}

// list prints what --strategies and --script can name.
func (f *benchFlags) list(s settings) error {
	all, err := allStrategies(f.scripts)
	if err != nil {
		return usage("%w", err)
	}
	if f.out.json {
		listed := make([]bench.Listed, len(all))
		for i, one := range all {
			listed[i] = bench.Listed{Name: one.Name(), Description: one.Describe()}
		}
		return writeJSON(s.stdout, listed)
	}
	rows := [][]string{{"STRATEGY", "PLACE", "SETTINGS"}}
	for _, one := range all {
		d := one.Describe()
		if d.Unsafe {
			d.Settings += " (not measured unless it is named)"
		}
		rows = append(rows, []string{one.Name(), d.Place, d.Settings})
	}
	return writeTable(s.stdout, rows)
}

// report measures, or reads what was measured before. A report that comes with an
// error is to be shown all the same.
func (f *benchFlags) report(cmd *cobra.Command, s settings) (*bench.Report, error) {
	if f.from != "" {
		r, err := f.former(cmd)
		if err != nil {
			return nil, err
		}
		return r, failed(r)
	}
	plan, setup, err := f.plan(cmd, s)
	if err != nil {
		return nil, err
	}
	if err := f.out.open(); err != nil {
		return nil, err
	}
	// What main made small is measured at its own size: here are many actors.
	cmap.SHARD_COUNT = actorShards
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	p := startProgress(s, plan, f.within)
	r := bench.New(setup).MeasurePlan(ctx, plan, p.step)
	p.end()
	r.Command[0] = "turnstile"
	var by *interrupt
	if errors.As(context.Cause(ctx), &by) {
		return r, &exitError{code: exitSignal + int(by.number), err: fmt.Errorf("%w: not all that was planned was measured", by)}
	}
	return r, failed(r)
}

// actorShards is the actor system's own size, which the Go benchmarks measure too.
const actorShards = 32

// exitFailed is for runs that are not to be believed.
const exitFailed = 1

func failed(r *bench.Report) error {
	if len(r.Failures) == 0 {
		return nil
	}
	return &exitError{code: exitFailed, err: r.Err()}
}

// findStrategy is for the workers of runs with several processes.
func findStrategy(name string) (bench.Strategy, error) {
	all, err := allStrategies(workersScripts())
	if err != nil {
		return nil, err
	}
	return bench.Among(all)(name)
}

// allStrategies are those that have a name here, scripts of a user's behind ours.
func allStrategies(scripts []string) ([]bench.Strategy, error) {
	all := strategies.All()
	for _, dir := range scripts {
		two, err := strategies.Script(dir)
		if err != nil {
			return nil, err
		}
		if _, err := bench.Among(all)(two[0].Name()); err == nil {
			return nil, fmt.Errorf("two directories with scripts are called the same: %s", two[0].Name())
		}
		all = append(all, two...)
	}
	return all, nil
}
