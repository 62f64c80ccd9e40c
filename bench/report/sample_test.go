package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/turnstile-go/turnstile/bench"
)

// A made-up strategy behaves as its numbers say. None of them was measured:
// sample is for looking at the page and for its tests, and for nothing else.
type madeUp struct {
	name, place, settings string
	peer                  bool
	base                  float64 // holds a second, one contender
	slope                 float64 // how the rate changes with contenders: x^slope
	floor                 float64 // holds/s it does not fall below
	tail                  float64 // how much longer the late waits are than the middle
	unfair                float64 // 0: all alike
	grant                 float64 // seconds, p50
	sent, executed        float64 // per hold; <0: no server
	recovers              float64 // × lease; 0: at once
	most                  float64 // contenders it was run with
}

var madeUps = []madeUp{
	{"embedded", bench.PlaceEmbedded, "lockclient.Open, Expires 10 s, otherwise its defaults", false, 420e3, 0.12, 1e5, 1.6, 0, 1.1e-6, -1, -1, 1, 1e4},
	{"embedded, no handoff", bench.PlaceEmbedded, "the same, NoHandoff", false, 300e3, -0.02, 1e5, 2.2, 0, 3.2e-6, -1, -1, 1, 1e4},
	{"file", bench.PlaceFile, "a directory on tmpfs, otherwise the defaults", false, 22e3, 0.65, 1e4, 1.8, 0, 1.2e-6, -1, -1, 0, 1e4},
	{"redis", bench.PlaceRedis, "Expires 10 s, otherwise the defaults", false, 9100, 0.95, 9000, 1.7, 0.01, 1.3e-6, 0.004, 0.03, 1, 1e4},
	{"redis, no handoff", bench.PlaceRedis, "the same, NoHandoff", false, 9000, 0.03, 8000, 2, 0.01, 92e-6, 2, 14, 1, 1e4},
	{"redis, Linger 1s", bench.PlaceRedis, "the same, Linger 1 s", false, 460e3, 0.08, 9000, 1.7, 0.01, 1.3e-6, 0.0002, 0.002, 1.05, 1e4},
	{"memcached", bench.PlaceMemcached, "one server, Expires 10 s", false, 5200, 0.98, 5000, 1.9, 0.01, 1.4e-6, 0.006, 0.006, 1.1, 1e4},
	{"pylock", bench.PlaceRedis, "SETNX, poll every 1 s, as the Python library does", true, 5300, -0.05, 900, 400, 2.2, 90e-6, 2.3, 2.3, 1.1, 1024},
	{"retools", bench.PlaceRedis, "SETNX, jittered poll up to 100 ms", true, 4700, 0.03, 900, 60, 1.1, 140e-6, 3.1, 3.1, 1.02, 1024},
	{"distributedlock", bench.PlaceMemcached, "add, poll every 10 ms", true, 5100, -0.2, 400, 30, 0.8, 2.4e-3, 4.4, 4.4, 1.1, 1024},
	{"redsync", bench.PlaceRedis, "one go-redis pool, WithExpiry(10s), WithTries(1000), retry delay: its default, random 50 to 250 ms", true, 5800, -0.38, 600, 25, 0.5, 0.9e-3, 6.2, 9.4, 1.01, 1024},
	{"redislock", bench.PlaceRedis, "one go-redis client, ttl 10s, LinearBackoff(1ms)", true, 4080, -0.15, 600, 20, 0.3, 0.41e-3, 21, 40, 1.001, 1024},
	{"rueidislock", bench.PlaceRedis, "KeyMajority 1, otherwise its defaults (KeyValidity 5s)", true, 3900, -0.01, 600, 35, 0.9, 0.19e-3, 4, 11, 1.02, 1024},
	{"sync.Mutex", bench.PlaceProcess, "a table of sync.Mutex", true, 4.9e6, 0.03, 1e6, 120, 0.35, 60e-9, -1, -1, -1, 1e4},
	{"channel", bench.PlaceProcess, "a one-slot channel a key", true, 3.6e6, -0.17, 1e6, 1.5, 0, 0.5e-6, -1, -1, -1, 1e4},
}

// sample is a made-up report with three rounds of every experiment.
func sample() *bench.Report {
	rng := rand.New(rand.NewPCG(7, 7))
	r := &bench.Report{
		Version: bench.FormatVersion, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 283,
		Command: []string{"turnstile", "bench", "--start-servers", "--repeat", "3", "--report", "report.html", "--note", "MADE UP: no figure here was measured"},
		Environment: bench.Environment{
			Go: "go1.26.0", Platform: "linux/amd64", Kernel: "6.1.0", CPU: "Made-up CPU @ 2.5 GHz", CPUs: 2, Memory: 24 << 30,
			Load: []string{"0.21 0.30 0.28", "2.93 2.10 1.13"}, Servers: []string{"Redis 7.0.15", "memcached 1.6.18"},
			Modules: []string{"github.com/redis/go-redis/v9 v9.23.0", "github.com/go-redsync/redsync/v4 v4.15.0"}, Commit: "0000000",
		},
	}
	for _, m := range madeUps {
		r.Strategies = append(r.Strategies, bench.Listed{Name: m.name, Description: bench.Description{Settings: m.settings, Place: m.place, Peer: m.peer}})
		for round := 1; round <= 3; round++ {
			m.experiments(r, rng, round)
		}
	}
	return r
}

func (m *madeUp) experiments(r *bench.Report, rng *rand.Rand, round int) {
	add := func(experiment string, x float64, w bench.Workload, rate, stretch float64) *bench.Run {
		rate *= math.Exp(rng.NormFloat64() * 0.08)
		r.Runs = append(r.Runs, m.run(rng, experiment, x, round, w, rate, stretch))
		return &r.Runs[len(r.Runs)-1]
	}
	server := m.place == bench.PlaceRedis || m.place == bench.PlaceMemcached
	for _, x := range []float64{1, 2, 4, 16, 64, 256, 1024, 10000} {
		if x <= m.most {
			add(bench.Contenders, x, bench.Workload{Goroutines: int(x), Keys: 1}, m.at(x), x)
		}
	}
	for _, x := range []float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6} {
		add(bench.Keys, x, bench.Workload{Goroutines: 64, Keys: int(x)}, m.at(64)+(m.base*3-m.at(64))*math.Min(1, math.Log10(x)/3), 2)
	}
	if m.place == bench.PlaceProcess {
		return
	}
	if m.place != bench.PlaceEmbedded {
		for _, x := range []float64{1, 2, 4, 8} {
			add(bench.Processes, x, bench.Workload{Goroutines: 16, Processes: int(x), Keys: 1}, m.at(16)/math.Pow(x, 0.4), 16*x)
		}
		run := add(bench.Recovery, 2, bench.Workload{Goroutines: 4, Processes: 2, Keys: 1}, 100, 1)
		for range 3 {
			run.Recovery = append(run.Recovery, math.Max(0.004, 2*m.recovers)*(1+0.1*rng.Float64()))
		}
	}
	if server {
		for _, x := range []float64{0, 0.001, 0.005, 0.020} {
			add(bench.RoundTrips, x, bench.Workload{Goroutines: 64, Keys: 1, RoundTrip: time.Duration(x * 1e9)}, 1/(1/m.at(64)+x*math.Max(m.sent, 0)), 64)
		}
	}
	for _, x := range []float64{100, 1000, 5000, 20000} {
		late := 1.0
		if x > m.at(64) {
			late = 4000
		}
		add(bench.OpenLoop, x, bench.Workload{Goroutines: 64, Keys: 1, Rate: x}, math.Min(x, m.at(64)), late)
	}
}

// at is the rate with x contenders.
func (m *madeUp) at(x float64) float64 {
	top := m.base * math.Pow(x, m.slope)
	if m.slope > 0.5 { // handoffs take over from the server, up to what an actor does
		top = 1 / (1/top + 1/0.75e6)
	}
	return max(top, m.floor)
}

func (m *madeUp) run(rng *rand.Rand, experiment string, x float64, round int, w bench.Workload, rate, stretch float64) bench.Run {
	w.Duration, w.Warmup = time.Second, 200*time.Millisecond
	run := bench.Run{
		Strategy: m.name, Experiment: experiment, X: x, Round: round, Workload: w, Elapsed: 1,
		Holds: uint64(rate), Rate: rate, Wait: *distribution(rng, stretch/rate, m.tail, uint64(rate)),
	}
	n := w.Contenders()
	if n > 1 {
		run.Grant = distribution(rng, m.grant, 3+m.tail/4, uint64(rate))
	}
	if m.sent >= 0 {
		run.Sent, run.Executed = pointer(m.sent), pointer(m.executed)
	}
	shares, sum, squares := make([]float64, n), 0.0, 0.0
	for i := range shares {
		shares[i] = math.Exp(rng.NormFloat64() * m.unfair)
		sum += shares[i]
		squares += shares[i] * shares[i]
	}
	run.Jain = sum * sum / (float64(n) * squares)
	if w.Processes > 1 {
		run.JainProcesses = 1 - 0.4*math.Min(1, m.unfair)*rng.Float64()
	}
	if n > 1024 || experiment != bench.Contenders {
		return run
	}
	for _, s := range shares {
		run.PerContender = append(run.PerContender, uint64(s/sum*rate))
	}
	who := 0
	for range 300 {
		if m.unfair < 0.1 {
			who = (who + 1) % n
		} else if rng.Float64() > m.unfair/2.5 {
			who = rng.IntN(n)
		}
		run.Order = append(run.Order, who)
	}
	return run
}

func pointer(v float64) *float64 { return &v }

// distribution has its middle at v, and its late part tail times as far out.
func distribution(rng *rand.Rand, v, tail float64, n uint64) *bench.Distribution {
	d := &bench.Distribution{Count: n, Mean: v * 1.1}
	v *= math.Exp(rng.NormFloat64() * 0.05)
	for i := range 31 {
		p := float64(i) / 5
		if n > 0 && math.Pow(10, p) > float64(n) {
			break
		}
		d.Quantiles = append(d.Quantiles, bench.Quantile{Q: 1 - math.Pow(10, -p), V: v * (0.3 + p*2.3) * (1 + (tail-1)*(1-math.Exp(-p*p/4)))})
	}
	d.Min, d.Max = d.Quantiles[0].V, d.Quantiles[len(d.Quantiles)-1].V*1.1
	d.Quantiles = append(d.Quantiles, bench.Quantile{Q: 1, V: d.Max})
	return d
}
