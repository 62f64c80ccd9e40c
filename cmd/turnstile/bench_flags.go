package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// A comparison is to take less than a minute with a dozen strategies, and a slow
	// one still has some hundred holds in a run.
	benchDuration, benchWarmup = 500 * time.Millisecond, 200 * time.Millisecond
	benchRepeat                = 3
	// The most that anybody has had a use for; beyond, a slip fills the memory.
	maxBenchGoroutines, maxBenchKeys, maxBenchProcesses = lockclient.MaxMaxWaiters, 10_000_000, 256
)

// workloadFlags describe a workload, so that they can't stand beside --experiments.
var workloadFlags = []string{"goroutines", "processes", "keys", "zipf", "hold", "think", "rate", "round-trip"}

// measuringFlags mean nothing beside --from.
var measuringFlags = append([]string{
	"experiments", "script", "duration", "warmup", "repeat", "within", "short", "start-servers", "redis", "memcached",
}, workloadFlags...)

func (f *benchFlags) add(cmd *cobra.Command) {
	f.workload = bench.Workload{Goroutines: 64, Processes: 1, Keys: 1, Warmup: benchWarmup, Duration: benchDuration}
	f.repeat = 0
	w, flags := &f.workload, cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.strategies, "strategies", nil, "`NAMES` of what to measure, by commas; list prints them (default all that exclude)")
	flags.StringArrayVar(&f.scripts, "script", nil, "measure the Lua scripts of `DIR`, too; may be repeated")
	flags.StringSliceVar(&f.experiments, "experiments", nil, "`NAMES` of experiments, by commas, or all, instead of one workload")

	flags.Var(whole{&w.Goroutines, 1, maxBenchGoroutines}, "goroutines", "contenders in each process")
	flags.Var(whole{&w.Processes, 1, maxBenchProcesses}, "processes", "number of processes that share the work")
	flags.Var(whole{&w.Keys, 1, maxBenchKeys}, "keys", "number of keys, drawn at random")
	flags.Var(decimal{&w.Zipf}, "zipf", "draw some keys more often, by this exponent above 1; 0: all alike")
	flags.Var(span{&w.Hold}, "hold", "time inside the section")
	flags.Var(span{&w.Think}, "think", "time between a release and the next acquire")
	flags.Var(decimal{&w.Rate}, "rate", "holds a second to begin, whether or not the last has ended (an open loop); 0: as many as possible")
	flags.Var(span{&w.RoundTrip}, "round-trip", "time added by a proxy to each request and its reply, in ms")

	flags.Var(span{&w.Duration}, "duration", "how long a run measures")
	flags.Var(span{&w.Warmup}, "warmup", "how long a run works before it measures")
	flags.Var(whole{&f.repeat, 1, 1000}, "repeat", "rounds (default 3; 1 with --experiments)")
	flags.Lookup("repeat").DefValue = "" // the usage text says it
	flags.Var(span{&f.within}, "within", "shorten the runs, so that all of them take about so long; it says so if they can't be that short")
	flags.BoolVar(&f.short, "short", false, "leave points out of the middle of each experiment")

	flags.BoolVar(&f.start, "start-servers", false, "start redis-server and memcached where they are installed, for each run anew")
	flags.StringVar(&f.redis, "redis", "", "a Redis to use, at `HOST:PORT`")
	flags.StringVar(&f.memcached, "memcached", "", "a memcached to use, at `HOST:PORT`")

	f.out.add(flags)
	flags.StringVar(&f.from, "from", "", "show a former run's `FILE` of JSON instead of measuring; - for stdin")
	var names []cobra.Completion
	for _, s := range strategies.All() {
		names = append(names, s.Name())
	}
	var experiments []cobra.Completion
	for _, e := range bench.Experiments(bench.Scale{}) {
		experiments = append(experiments, e.Name)
	}
	values := map[string][]cobra.Completion{
		"strategies": append(names, "list"), "experiments": append(experiments, "all"), "format": {"table", "gobench"},
	}
	for _, flag := range append([]string{"duration", "warmup", "repeat", "within", "redis", "memcached"}, workloadFlags...) {
		values[flag] = nil
	}
	completeFlags(cmd, values)
}

// The values below are pflag's, apart from what they say of a slip.
var (
	_ pflag.Value = whole{}
	_ pflag.Value = decimal{}
	_ pflag.Value = span{}
)

// A whole is a number of things.
type whole struct {
	at          *int
	least, most int
}

func (v whole) String() string { return strconv.Itoa(*v.at) }
func (v whole) Type() string   { return "N" }

func (v whole) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.least || n > v.most {
		return fmt.Errorf("a number from %d to %d", v.least, v.most)
	}
	*v.at = n
	return nil
}

// A decimal is a number that is not below 0.
type decimal struct{ at *float64 }

func (v decimal) String() string { return strconv.FormatFloat(*v.at, 'g', -1, 64) }
func (v decimal) Type() string   { return "X" }

func (v decimal) Set(s string) error {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0) || math.IsInf(x, 0) {
		return fmt.Errorf("a number from 0")
	}
	*v.at = x
	return nil
}

// A span is a duration, as all commands take them.
type span struct{ at *time.Duration }

func (v span) String() string { return v.at.String() }
func (v span) Type() string   { return "DURATION" }

func (v span) Set(s string) (err error) {
	*v.at, err = parseDuration(s)
	return err
}
