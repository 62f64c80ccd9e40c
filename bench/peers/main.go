package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/report"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

// options are the flags.
type options struct {
	rounds                           int
	warmup, duration, within         time.Duration
	pool                             int
	workloads, experiments, compared string
	json, numbers, own               bool
	base, memory                     string
	page, markdown                   string
}

// compared are the strategies that the experiments are drawn for, unless others are
// named: more of them would be hard to tell apart.
var compared = []string{
	"mutex", channel, "moby-locker", "semaphore", "rwmutex", embedded, file, ours, lingering, "turnstile-memcached",
	"pylock", "retools", "distributedlock", "redsync", "redislock", "rueidislock", "etcd", "etcd-rwmutex",
}

func main() {
	if bench.RunWorker(bench.Among(everything())) {
		return
	}
	// What was measured until an interrupt is printed all the same.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err) // nowhere else to say it
		os.Exit(1)
	}
}

// run is the command without its process: the tests call it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case o.markdown != "":
		return markdown(o.markdown, stdout)
	case o.memory != "":
		return printMemory(o.memory, stdout)
	case o.base != "":
		return compareWith(ctx, o.base, o.rounds, stdout, stderr)
	}
	if o.pool > 0 {
		if err := os.Setenv(poolEnv, strconv.Itoa(o.pool)); err != nil {
			return err
		}
		defer os.Unsetenv(poolEnv) //nolint:errcheck // the tests' next run
	}
	plan, err := o.plan()
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "about %v\n", plan.Estimate().Round(time.Minute)) // progress only
	measured := bench.New(setup()).MeasurePlan(ctx, plan, func(s bench.Step) {
		if s.Next.Strategy != nil {
			fmt.Fprintf(stderr, "%d of %d: %s, %s, round %d (%v left)\n", // progress only
				s.Done+1, s.Total, s.Next.Workload.Name, s.Next.Strategy.Name(), s.Next.Round, s.Remaining.Round(time.Second))
		}
	})
	return errors.Join(o.write(measured, stdout), measured.Err())
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each strategy runs; figures are medians over rounds")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "how long each run of a workload is measured")
	flags.DurationVar(&o.warmup, "warmup", 300*time.Millisecond, "how long each run of a workload goes on before that")
	flags.IntVar(&o.pool, "pool", 0, "connections of each go-redis client, ours and the peers'; 0: the driver's default, 10 a CPU")
	flags.StringVar(&o.workloads, "workloads", rowNames(), "which workloads are measured and judged, by name")
	flags.StringVar(&o.experiments, "experiments", experimentNames(), "which curves of the report are measured")
	flags.DurationVar(&o.within, "within", 6*time.Minute, "how long the experiments' own runs may take in all; they are made shorter")
	flags.StringVar(&o.compared, "strategies", strings.Join(compared, ","), "which strategies the experiments are measured with")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON, with every round's figures")
	flags.StringVar(&o.page, "report", "", "write the report as an HTML page to this file")
	flags.BoolVar(&o.numbers, "numbers", false, "measure only what has a goal, and print each beside it (about 5 minutes)")
	flags.StringVar(&o.base, "base", "", "with -numbers: measure this revision of git's as well, in alternate rounds, and print what changed beyond the noise")
	flags.BoolVar(&o.own, "own", false, "with -numbers: leave the rivals out")
	flags.StringVar(&o.memory, "memory", "", "print what so many bytes are needed for, and nothing else: "+strings.Join(memoryNames(), ", "))
	flags.StringVar(&o.markdown, "markdown", "", "measure nothing: print a README's tables from this file, which -json made")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.numbers {
		o.forNumbers(flags)
	}
	if o.base != "" && !o.numbers {
		return o, errors.New("-base goes with -numbers")
	}
	if o.rounds < 1 || o.duration <= 0 || o.warmup < 0 || o.within <= 0 || o.pool < 0 || flags.NArg() > 0 {
		return o, errors.New("rounds and times have to be positive, and there are no arguments but flags")
	}
	return o, nil
}

// plan is the experiments, each run short, and the workloads that have goals, each run as
// long as was asked for.
func (o options) plan() (p bench.Plan, err error) {
	scale := bench.Scale{Warmup: 200 * time.Millisecond, Duration: time.Second, Few: true}
	experiments, err := pick("experiment", bench.Experiments(scale), experimentName, o.experiments)
	if err != nil {
		return p, err
	}
	chosen, err := pick("workload", rows(), func(r row) string { return r.name }, o.workloads)
	if err != nil {
		return p, err
	}
	if o.numbers {
		chosen = judged(chosen, o.own)
	}
	all := everything()
	only := strings.Split(o.compared, ",")
	if _, err := strategies.Select(all, only); err != nil {
		return p, err
	}
	for _, e := range experiments {
		for i := range e.Points {
			e.Points[i].Only = slices.DeleteFunc(slices.Clone(only), func(name string) bool { return !hasKind(all, name, e.Points[i].Workload) })
		}
	}
	p = bench.Plan{Strategies: all, Experiments: experiments, Rounds: o.rounds}.Within(o.within)
	for _, r := range chosen {
		p.Experiments = r.point(p.Experiments, o.warmup, o.duration)
	}
	if p.Strategies = takingPart(p); len(p.Strategies) == 0 {
		return p, errors.New("nothing to measure")
	}
	return p, nil
}

// hasKind says whether a strategy has holds of the kind that a curve is about. One without is
// no rival there.
func hasKind(all []bench.Strategy, name string, w bench.Workload) bool {
	at := slices.IndexFunc(all, func(s bench.Strategy) bool { return s.Name() == name })
	kinds := all[at].Describe().Kinds
	return (w.Shared == 0 || slices.Contains(kinds, bench.KindShared)) && (w.Slots == 0 || slices.Contains(kinds, bench.KindSlots))
}

// takingPart are the plan's strategies that it measures at all: the report shows no
// others.
func takingPart(p bench.Plan) (part []bench.Strategy) {
	used := map[string]bool{}
	for _, c := range p.Cases() {
		used[c.Strategy.Name()] = true
	}
	for _, s := range p.Strategies {
		if used[s.Name()] {
			part = append(part, s)
		}
	}
	return part
}

// write writes what was measured, in all forms that were asked for.
func (o options) write(r *bench.Report, stdout io.Writer) error {
	var err error
	if o.page != "" {
		err = writePage(o.page, r)
	}
	if o.json {
		return errors.Join(err, r.Write(stdout))
	}
	if o.numbers {
		return errors.Join(err, writeNumbers(stdout, r))
	}
	// A comparison without the rivals' settings can't be checked.
	e := r.Environment
	lines := []string{fmt.Sprintf("%s %s, %d CPUs (%s)", e.Go, e.Platform, e.CPUs, e.CPU)}
	lines = append(lines, e.Servers...)
	lines = append(lines, e.Modules...)
	for _, s := range r.Strategies {
		lines = append(lines, s.Name+": "+s.Settings)
	}
	_, failed := fmt.Fprintln(stdout, strings.Join(lines, "\n"))
	return errors.Join(err, failed, r.WriteTable(stdout), writeVerdicts(stdout, r))
}

func writePage(path string, r *bench.Report) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return report.Write(f, r)
}
