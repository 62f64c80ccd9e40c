package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

// plan is what is to be measured, and where its servers are.
func (f *benchFlags) plan(cmd *cobra.Command, s settings) (bench.Plan, bench.Setup, error) {
	setup, err := f.setup()
	if err != nil {
		return bench.Plan{}, setup, err
	}
	chosen, err := f.chosen()
	if err != nil {
		return bench.Plan{}, setup, err
	}
	if chosen, err = f.placed(chosen, setup, s); err != nil {
		return bench.Plan{}, setup, err
	}
	p := bench.Plan{Strategies: chosen, Rounds: f.repeat}
	if p.Experiments, err = f.points(cmd); err != nil {
		return p, setup, err
	}
	if p.Rounds == 0 {
		p.Rounds = benchRepeat
		if len(f.experiments) > 0 {
			p.Rounds = 1
		}
	}
	if p, err = withoutIdle(p, len(f.experiments) == 0, s); err != nil {
		return p, setup, err
	}
	if f.within > 0 {
		p = p.Within(f.within)
	}
	return p, setup, f.tellWorkers()
}

// chosen are the strategies that the flags name. Scripts are measured wherever they
// are given, unless --strategies picks among them.
func (f *benchFlags) chosen() ([]bench.Strategy, error) {
	all, err := allStrategies(f.scripts)
	if err != nil {
		return nil, usage("%w", err)
	}
	scripts := all[len(strategies.All()):]
	if len(f.strategies) == 0 {
		return append(strategies.Default(), scripts...), nil
	}
	named, err := strategies.Select(all, f.strategies)
	if err != nil {
		return nil, usage("--strategies: %w", err)
	}
	if !slices.ContainsFunc(scripts, func(s bench.Strategy) bool { return slices.Contains(f.strategies, s.Name()) }) {
		named = append(named, scripts...)
	}
	return named, nil
}

// serverTimeout is how long a server that was named may take to accept a connection.
const serverTimeout = 2 * time.Second

// setup knows the servers that were named, and that they answer.
func (f *benchFlags) setup() (bench.Setup, error) {
	setup := bench.Setup{Addrs: map[string]string{}}
	for _, named := range []struct{ place, flag, addr string }{
		{bench.PlaceRedis, "--redis", f.redis}, {bench.PlaceMemcached, "--memcached", f.memcached},
	} {
		if named.addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(named.addr); err != nil || strings.ContainsAny(named.addr, "/@") {
			return setup, usage("%s: write HOST:PORT, with no scheme and no login", named.flag)
		}
		conn, err := net.DialTimeout("tcp", named.addr, serverTimeout)
		if err != nil {
			return setup, &exitError{code: exitUnavailable, err: fmt.Errorf("%s: %w%s", named.flag, err, hint(err))}
		}
		_ = conn.Close() // nothing was said
		setup.Addrs[named.place] = named.addr
	}
	return setup, nil
}

// serverOf are the places that need a server, and what it is called.
var serverOf = map[string]string{bench.PlaceRedis: "Redis", bench.PlaceMemcached: "memcached"}

// placed leaves out strategies whose server is missing, and says so. One that was
// asked for by its name is not left out but an error.
func (f *benchFlags) placed(chosen []bench.Strategy, setup bench.Setup, s settings) ([]bench.Strategy, error) {
	why := map[string]string{} // by place
	for place, server := range serverOf {
		switch err := setup.Missing(place); {
		case setup.Addrs[place] != "":
		case !f.start:
			why[place] = fmt.Sprintf("no %s (--start-servers starts one, --%s HOST:PORT names one)", server, place)
		case err != nil:
			why[place] = strings.TrimPrefix(err.Error(), "bench: ")
		}
	}
	left := map[string][]string{}
	kept := slices.DeleteFunc(chosen, func(one bench.Strategy) bool {
		place := one.Describe().Place
		if why[place] != "" {
			left[place] = append(left[place], one.Name())
		}
		return why[place] != ""
	})
	for _, place := range []string{bench.PlaceRedis, bench.PlaceMemcached} {
		for _, name := range left[place] {
			if slices.Contains(f.strategies, name) {
				return nil, usage("%s: %s", name, why[place])
			}
		}
		if len(left[place]) > 0 {
			s.say("without %s: %s", strings.Join(left[place], ", "), why[place])
		}
	}
	return kept, nil
}

// say is for what a person may want to know of the measurement before its result.
func (s settings) say(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.stderr, "turnstile: "+format+"\n", args...)
	}
}

// points are the experiments that the flags name, or the one workload that they describe.
func (f *benchFlags) points(cmd *cobra.Command) ([]bench.Experiment, error) {
	w := f.workload
	if len(f.experiments) == 0 {
		if f.short {
			return nil, usage("--short is for --experiments")
		}
		w.Name = bench.Custom
		if err := w.Check(); err != nil {
			return nil, usage("%w", err)
		}
		return []bench.Experiment{{Name: bench.Custom, Points: []bench.Point{{Workload: w}}}}, nil
	}
	for _, flag := range workloadFlags {
		if cmd.Flags().Changed(flag) {
			return nil, usage("--%s and --experiments together: the experiments have workloads of their own", flag)
		}
	}
	if w.Duration <= 0 {
		return nil, usage("%w", w.Check())
	}
	return f.named(bench.Experiments(bench.Scale{Warmup: w.Warmup, Duration: w.Duration, Few: f.short}))
}

func (f *benchFlags) named(all []bench.Experiment) ([]bench.Experiment, error) {
	for i := range all {
		if all[i].Name == bench.Recovery && len(f.strategies) == 0 {
			plainOnly(all[i].Points)
		}
	}
	if slices.Equal(f.experiments, []string{"all"}) {
		return all, nil
	}
	var picked []bench.Experiment
	for i, name := range f.experiments {
		at := slices.IndexFunc(all, func(e bench.Experiment) bool { return e.Name == name })
		if at < 0 || slices.Contains(f.experiments[:i], name) {
			var names []string
			for _, e := range all {
				names = append(names, e.Name)
			}
			return nil, usage("--experiments: %q: name each once of %s, or all", name, strings.Join(names, ", "))
		}
		picked = append(picked, all[at])
	}
	return picked, nil
}

// plainOnly spares a recovery the variants of ours: a holder that is killed leaves
// the same behind whether it hands over and lingers or not, and each kill is seconds
// of waiting.
func plainOnly(points []bench.Point) {
	var plain []string
	for _, s := range strategies.Default() {
		if n := s.Name(); !strings.HasSuffix(n, "-nohandoff") && !strings.HasSuffix(n, "-linger") {
			plain = append(plain, n)
		}
	}
	for i := range points {
		points[i].Only = plain
	}
}

// withoutIdle takes the strategies out of the plan that can take part in nothing of
// it. In a single workload each of them is worth a word.
func withoutIdle(p bench.Plan, single bool, s settings) (bench.Plan, error) {
	busy := map[string]bool{}
	for _, c := range p.Cases() {
		busy[c.Strategy.Name()] = true
	}
	var idle []string
	p.Strategies = slices.DeleteFunc(p.Strategies, func(one bench.Strategy) bool {
		if !busy[one.Name()] {
			idle = append(idle, one.Name())
		}
		return !busy[one.Name()]
	})
	if len(p.Strategies) == 0 {
		return p, usage("no strategy is left that could take part: locks in memory can't be shared by processes, and a round trip needs a server")
	}
	if single && len(idle) > 0 {
		s.say("without %s: locks in memory can't be shared by processes, and a round trip needs a server", strings.Join(idle, ", "))
	}
	return p, nil
}

// scriptsEnv tells workers, which know a strategy by its name alone, where scripts are.
const scriptsEnv = "TURNSTILE_BENCH_SCRIPTS"

func (f *benchFlags) tellWorkers() error {
	var dirs []string
	for _, dir := range f.scripts {
		full, err := filepath.Abs(dir)
		if err != nil {
			return usage("--script: %w", err)
		}
		dirs = append(dirs, full)
	}
	return os.Setenv(scriptsEnv, strings.Join(dirs, string(filepath.ListSeparator)))
}

func workersScripts() []string { return filepath.SplitList(os.Getenv(scriptsEnv)) }
