package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

// Strategies that the goals are about: see docs/benchmarks.md#goals.
const (
	ours      = "turnstile-redis"
	lingering = "turnstile-redis-linger"
	embedded  = "turnstile-embedded"
	file      = "turnstile-file"
	channel   = "channel"
)

// redisPeers are those that ours on Redis is measured against.
var redisPeers = []string{"redsync", "redislock", "rueidislock", "rueidislock-noloop"}

// A row is a workload that has goals (docs/benchmarks.md#goals). Most are a point of one of
// package bench's experiments, which a report draws as a curve; here it is measured
// longer, by these strategies as well, and judged.
type row struct {
	name, title string
	experiment  string
	x           float64
	workload    bench.Workload // without its times
	strategies  []string
	shown       []column // in the table for a README
	reaches     []reach
}

// A reach is one goal: at most bound where less is better,
// else at least. With against it is a ratio of two figures of one round.
type reach struct {
	of      string
	column  column
	bound   float64
	against string
}

// bestPeer as reach.against is the best of redisPeers in that column.
const bestPeer = "best peer"

// A column is a figure of a run.
type column struct {
	name        string
	lower, time bool // less is better; seconds
	of          func(*bench.Run) (float64, bool)
}

var (
	rate = column{name: "holds/s", of: func(r *bench.Run) (float64, bool) { return r.Rate, r.Holds > 0 }}
	jain = column{name: "Jain", of: func(r *bench.Run) (float64, bool) { return r.Jain, r.Jain > 0 }}

	jainProcesses = column{name: "Jain over processes", of: func(r *bench.Run) (float64, bool) { return r.JainProcesses, r.JainProcesses > 0 }}

	requests = column{name: "requests/hold", lower: true, of: func(r *bench.Run) (float64, bool) { return known(r.Sent) }}

	waitP50 = wait("p50 wait", 0.5)
	waitP99 = wait("p99 wait", 0.99)
	waitMax = wait("longest wait", 1)

	// each is the time per hold, counting the holds of all contenders together.
	each = column{name: "time/hold", lower: true, time: true, of: func(r *bench.Run) (float64, bool) { return 1 / r.Rate, r.Rate > 0 }}

	clientCPU = column{name: "client CPU/hold", lower: true, time: true, of: func(r *bench.Run) (float64, bool) { return known(r.ClientCPU) }}
	serverCPU = column{name: "server CPU/hold", lower: true, time: true, of: func(r *bench.Run) (float64, bool) { return known(r.ServerCPU) }}
	allocs    = column{name: "allocations/hold", lower: true, of: func(r *bench.Run) (float64, bool) { return known(r.Allocs) }}

	grantP50 = column{name: "p50 release → grant", lower: true, time: true, of: func(r *bench.Run) (float64, bool) {
		if r.Grant == nil {
			return 0, false
		}
		return r.Grant.At(0.5), true
	}}
)

func known(figure *float64) (float64, bool) {
	if figure == nil {
		return 0, false
	}
	return *figure, true
}

func wait(name string, q float64) column {
	return column{name: name, lower: true, time: true, of: func(r *bench.Run) (float64, bool) { return r.Wait.At(q), r.Wait.Count > 0 }}
}

// rows are in the order of docs/benchmarks.md#goals. The first strategy begins the
// first round, and another one each later round.
//
//nolint:funlen // a table
func rows() []row {
	onRedis := append([]string{ours}, redisPeers...)
	inProcess := []string{"mutex", channel, "moby-locker", "semaphore"}
	withEtcd := append(slices.Clone(onRedis), "etcd")
	everywhere := slices.Concat([]string{embedded, file}, withEtcd, inProcess)
	return []row{
		{
			name: "hot", title: "64 goroutines, one key, one process", experiment: bench.Contenders, x: 64,
			workload: bench.Workload{Goroutines: 64, Keys: 1}, strategies: everywhere, shown: []column{rate, waitP99, jain, requests},
			reaches: []reach{
				{ours, rate, 100, bestPeer}, {ours, requests, 0.01, ""}, {ours, jain, 0.99, ""},
				{ours, rate, 0.5, channel}, {file, rate, 0.5, channel},
				{embedded, rate, 0.8, channel}, {embedded, jain, 0.99, ""}, {embedded, allocs, 2, ""},
			},
		},
		{
			// The channel's holds are exclusive: how often one can change hands is what the goal is about.
			name: "shared", title: "64 goroutines share one key, one process", experiment: "shared", x: 64,
			workload: bench.Workload{Goroutines: 64, Keys: 1, Shared: 1}, strategies: []string{embedded, file, ours, "rwmutex", channel}, shown: []column{rate, requests},
			reaches: []reach{{embedded, rate, 0.8, channel}, {ours, requests, 0.01, ""}},
		},
		{
			name: "readers", title: "64 goroutines, one key, 90 % of the holds shared", experiment: bench.Readers, x: 64,
			workload: bench.Workload{Goroutines: 64, Keys: 1, Shared: 0.9}, strategies: []string{embedded, file, ours, "rwmutex", "etcd-rwmutex"}, shown: []column{rate, waitP99},
		},
		{
			name: "sharing", title: "2 processes of 32 goroutines share one key", experiment: "sharing", x: 2,
			workload: bench.Workload{Goroutines: 32, Processes: 2, Keys: 1, Shared: 1}, strategies: []string{ours, ours + "-nohandoff"}, shown: []column{rate, requests},
			reaches: []reach{{ours, rate, 10, ours + "-nohandoff"}},
		},
		{
			name: "slots", title: "64 goroutines, 8 slots of one key, one process", experiment: bench.Slots, x: 8,
			workload: bench.Workload{Goroutines: 64, Keys: 1, Slots: 8}, strategies: []string{embedded, file, ours, "semaphore"}, shown: []column{rate, waitP99},
		},
		{
			name: "processes", title: "4 processes of 16 goroutines, one key", experiment: bench.Processes, x: 4,
			workload: bench.Workload{Goroutines: 16, Processes: 4, Keys: 1}, strategies: withEtcd, shown: []column{rate, waitP99, jainProcesses},
			reaches: []reach{
				{ours, rate, 80, bestPeer}, {ours, jainProcesses, 0.95, ""}, {ours, waitP99, 0.1, bestPeer},
				{ours, requests, 0.05, ""}, {ours, waitMax, 1, ""},
			},
		},
		{
			name: "keys64", title: "10 000 keys, 64 goroutines", experiment: bench.Keys, x: 10_000,
			workload: bench.Workload{Goroutines: 64, Keys: 10_000}, strategies: append([]string{lingering}, withEtcd...), shown: []column{rate},
			reaches: []reach{
				{ours, rate, 1.5, bestPeer}, {lingering, rate, 8, bestPeer},
				// 12 µs of server and 22 µs of client, where rueidislock takes 21 and 31.
				{ours, serverCPU, 12.0 / 21, "rueidislock"}, {ours, clientCPU, 22.0 / 31, "rueidislock"},
			},
		},
		{
			name: "keys512", title: "10 000 keys, 512 goroutines", experiment: "keys512", x: 512,
			workload: bench.Workload{Goroutines: 512, Keys: 10_000}, strategies: append([]string{ceiling{}.Name()}, onRedis...), shown: []column{rate},
			reaches: []reach{{ours, rate, 2, bestPeer}, {ours, rate, 0.8, ceiling{}.Name()}},
		},
		{
			// The section is long enough that the other process waits for certain when it ends.
			name: "turns", title: "two processes in turn, one key", experiment: "turns", x: 2,
			workload: bench.Workload{Goroutines: 1, Processes: 2, Keys: 1, Hold: time.Millisecond}, strategies: append([]string{wake{}.Name()}, withEtcd...), shown: []column{grantP50},
			reaches: []reach{{ours, grantP50, 1, wake{}.Name()}},
		},
		{
			name: "free", title: "one goroutine, a free key", experiment: bench.Contenders, x: 1,
			workload:   bench.Workload{Goroutines: 1, Keys: 1},
			strategies: slices.Concat([]string{bare{}.Name(), bare{trivial: true}.Name(), embedded}, withEtcd, inProcess), shown: []column{waitP50, rate},
			reaches: []reach{{ours, waitP50, 1.4, "redislock"}, {embedded, rate, 0.4, channel}, {embedded, allocs, 2, ""}},
		},
		{
			name: "quiet", title: "one goroutine, quiet keys, beside 64 on one", experiment: "quiet", x: 1,
			workload: bench.Workload{Goroutines: 1, Keys: 1000}, strategies: []string{ours, beside{}.Name(), beside{apart: true}.Name()},
			reaches: []reach{{beside{}.Name(), waitP99, 2, ours}, {beside{}.Name(), waitP99, 2, beside{apart: true}.Name()}},
		},
		{
			name: "inkeys", title: "10 000 keys, 64 goroutines, in process", experiment: "inkeys", x: 10_000,
			workload: bench.Workload{Goroutines: 64, Keys: 10_000}, strategies: []string{embedded, "moby-locker", channel}, shown: []column{rate},
			reaches: []reach{{embedded, rate, 1, "moby-locker"}},
		},
		{
			// With so many keys, hardly one comes twice while its actor lives.
			name: "new", title: "one goroutine, a new key each time, in process", experiment: "new", x: 1e6,
			workload: bench.Workload{Goroutines: 1, Keys: 1_000_000}, strategies: []string{embedded, "moby-locker"}, shown: []column{each},
			reaches: []reach{{embedded, each, 8e-6, ""}},
		},
	}
}

func names[T any](list []T, name func(T) string) string {
	var all []string
	for _, x := range list {
		all = append(all, name(x))
	}
	return strings.Join(all, ",")
}

func rowNames() string        { return names(rows(), func(r row) string { return r.name }) }
func experimentNames() string { return names(bench.Experiments(bench.Scale{}), experimentName) }

func experimentName(e bench.Experiment) string { return e.Name }

// pick keeps the order of what there is, whatever the order of the names.
func pick[T any](what string, from []T, name func(T) string, chosen string) ([]T, error) {
	if chosen == "" {
		return nil, nil
	}
	wanted := strings.Split(chosen, ",")
	var picked []T
	for _, x := range from {
		if i := slices.Index(wanted, name(x)); i >= 0 {
			picked = append(picked, x)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("no such %s, or named twice: %q; there are %s", what, wanted, names(from, name))
	}
	return picked, nil
}

// point adds the row to the experiments of a plan: where its point is already, that
// is measured as long as the row says and by its strategies, too.
func (r row) point(experiments []bench.Experiment, warmup, duration time.Duration) []bench.Experiment {
	w := r.workload
	w.Name, w.Warmup, w.Duration = r.name, warmup, duration
	p := bench.Point{X: r.x, Workload: w, Only: r.strategies}
	for i, e := range experiments {
		if e.Name != r.experiment {
			continue
		}
		at := slices.IndexFunc(e.Points, func(p bench.Point) bool { return p.X >= r.x })
		switch {
		case at < 0:
			at = len(e.Points)
		case e.Points[at].X == r.x:
			p.Only = append(slices.Clone(p.Only), e.Points[at].Only...)
			experiments[i].Points[at] = p
			return experiments
		}
		experiments[i].Points = slices.Insert(e.Points, at, p)
		return experiments
	}
	return append(experiments, bench.Experiment{Name: r.experiment, Points: []bench.Point{p}})
}
