package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A bench is what all workloads need to know.
type bench struct {
	timing timing
	rounds int
	pool   int // connections of a go-redis client, 0 for the driver's default
}

// A report is everything that a run of the command says.
type report struct {
	Machine  []string
	Settings map[string]string
	Rounds   int
	Timing   timing // ns
	Tables   []*table
}

// errFailed says that an overlap or another failure stands in the report.
var errFailed = errors.New("not every run was clean: see FAILED above")

func main() {
	var err error
	// A worker is told by its environment and not by a flag, so that the tests'
	// binary, whose flags are not ours, can be one too.
	if text, ok := os.LookupEnv(workerEnv); ok {
		err = work(text, os.Stdin, os.Stdout)
	} else {
		err = run(os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err) //nolint:errcheck // nowhere else to say it
		os.Exit(1)
	}
}

// run is the command without its process: the tests call it.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var b bench
	flags.IntVar(&b.rounds, "rounds", 3, "how often each strategy runs; figures are medians over rounds")
	flags.DurationVar(&b.timing.Duration, "duration", 3*time.Second, "how long each run is measured")
	flags.DurationVar(&b.timing.Warmup, "warmup", 300*time.Millisecond, "how long each run goes on before that")
	flags.IntVar(&b.pool, "pool", 0, "connections of each go-redis client, ours and the peers'; 0: the driver's default, 10 a CPU")
	asJSON := flags.Bool("json", false, "print one JSON object, with every round's figures")
	names := flags.String("workloads", allNames(), "which workloads, by name")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}
	if b.rounds < 1 || b.timing.Duration <= 0 || flags.NArg() > 0 {
		return errors.New("rounds and duration have to be positive, and there are no arguments but flags")
	}
	return b.report(chosen, *asJSON, stdout, stderr)
}

// allNames is the flag's default and what a wrong name is answered with.
func allNames() string {
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return strings.Join(names, ",")
}

// choose keeps the order of the workloads, whatever the order of the names.
func choose(names string) ([]*workload, error) {
	wanted := strings.Split(names, ",")
	var chosen []*workload
	for _, w := range workloads() {
		if i := slices.Index(wanted, w.name); i >= 0 {
			chosen = append(chosen, w)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("no such workload, or named twice: %q; there are %s", wanted, allNames())
	}
	return chosen, nil
}

// report measures and prints; a table appears when its last round is over. A
// failure does not end the report: what else was measured took minutes, and the
// error at the end is there all the same.
func (b *bench) report(chosen []*workload, asJSON bool, stdout, stderr io.Writer) error {
	r := &report{Machine: machine(), Settings: settings(), Rounds: b.rounds, Timing: b.timing}
	if !asJSON {
		if err := b.header(r, stdout); err != nil {
			return err
		}
	}
	failed := false
	for _, w := range chosen {
		var rounds []map[string]figures
		var failures []error
		for i := range b.rounds {
			fmt.Fprintf(stderr, "%s: round %d of %d\n", w.name, i+1, b.rounds) //nolint:errcheck // progress only
			// Each round begins with another strategy: who runs first meets a
			// machine that has just been idle.
			rows, err := w.round(b, i)
			if err != nil {
				failures = append(failures, fmt.Errorf("round %d: %w", i+1, err))
			}
			rounds = append(rounds, rows)
		}
		t := newTable(w, rounds, failures)
		r.Tables = append(r.Tables, t)
		failed = failed || len(failures) > 0
		if !asJSON {
			if err := t.print(stdout); err != nil {
				return err
			}
		}
	}
	if asJSON {
		if err := writeJSON(stdout, r); err != nil {
			return err
		}
	}
	if failed {
		return errFailed
	}
	return nil
}

// header says how everybody was set up. A comparison without the rivals'
// settings can't be checked.
func (b *bench) header(r *report, out io.Writer) error {
	lines := append([]string{}, r.Machine...)
	for _, s := range strategies {
		lines = append(lines, fmt.Sprintf("%s: %s", s.name, s.settings))
	}
	pool := fmt.Sprintf("connections of a go-redis client: the driver's default, 10 a CPU (%d)", 10*runtime.GOMAXPROCS(0))
	if b.pool > 0 {
		pool = fmt.Sprintf("connections of a go-redis client: %d", b.pool)
	}
	lines = append(lines, pool, fmt.Sprintf("%d rounds, %v measured after %v of warm-up; medians over the rounds", b.rounds, b.timing.Duration, b.timing.Warmup))
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// machine is what the figures depend on. Whoever compares has to know how
// busy the machine was with other things.
func machine() []string {
	lines := []string{fmt.Sprintf("%s %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		lines = append(lines, "load before the run: "+strings.Join(strings.Fields(string(load))[:3], " "))
	}
	if version, err := exec.Command("redis-server", "--version").Output(); err == nil {
		lines = append(lines, strings.TrimSpace(string(version)))
	}
	// The versions that were built in, which need not be the newest.
	if info, ok := debug.ReadBuildInfo(); ok {
		var modules []string
		for _, m := range info.Deps {
			for _, s := range []string{"go-redis/v9", "redsync/v4", "bsm/redislock", "redis/rueidis"} {
				if strings.HasSuffix(m.Path, s) {
					modules = append(modules, m.Path+" "+m.Version)
				}
			}
		}
		lines = append(lines, strings.Join(modules, ", "))
	}
	return lines
}

func settings() map[string]string {
	all := map[string]string{}
	for _, s := range strategies {
		all[s.name] = s.settings
	}
	return all
}
