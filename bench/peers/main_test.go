package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// TestMain is a worker as well: the workers of a test are the test's binary.
func TestMain(m *testing.M) {
	if bench.RunWorker(bench.Among(everything())) {
		return
	}
	testmain.Prepare(8)
	goleak.VerifyTestMain(m)
}

// Everything, once and briefly: what each strategy does is real, and none lets two
// in, within a process and over four.
func TestEveryWorkloadMeasuresEveryStrategy(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	var all []string
	for _, r := range rows() {
		all = append(all, r.name)
	}
	report, missing := measured(t, all, 2*time.Millisecond, "-report", page)
	// On a slow machine some have had no hold when the time is over. They get more
	// of it; half a minute is enough on any machine.
	for duration := 500 * time.Millisecond; len(missing) > 0 && duration <= 32*time.Second; duration *= 4 {
		var again []string
		for row := range missing {
			again = append(again, row)
		}
		t.Logf("not measured yet: %v; again, for %v", missing, duration)
		_, still := measured(t, again, duration)
		for row, names := range missing {
			if missing[row] = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(still[row], name) }); len(missing[row]) == 0 {
				delete(missing, row)
			}
		}
	}
	for row, names := range missing {
		t.Errorf("%s: nothing was measured of %q", row, names)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range rivals() {
		listed := slices.ContainsFunc(report.Strategies, func(l bench.Listed) bool {
			return l.Name == s.Name() && l.Settings != "" && l.Peer
		})
		if !listed || !bytes.Contains(text, []byte(s.Name())) {
			t.Errorf("%s is not in the report", s.Name())
		}
	}
}

// measured runs workloads once, for a time each, and returns for each the strategies
// of which nothing was measured.
func measured(t *testing.T, workloads []string, duration time.Duration, more ...string) (report *bench.Report, missing map[string][]string) {
	t.Helper()
	args := append([]string{"-rounds", "1", "-warmup", "30ms", "-experiments", "", "-json",
		"-duration", duration.String(), "-workloads", strings.Join(workloads, ",")}, more...)
	var out, progress bytes.Buffer
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	report, err := bench.ReadReport(&out)
	if err != nil {
		t.Fatal(err)
	}
	missing = map[string][]string{}
	for _, r := range rows() {
		if !slices.Contains(workloads, r.name) {
			continue
		}
		rounds := figuresOf(report, r)
		if len(rounds) != 1 {
			t.Fatalf("%s: %d rounds", r.name, len(rounds))
		}
		for _, name := range r.strategies {
			// One may have had its first hold when the time was over, or have left its
			// waiters from the start.
			if run := rounds[0][name]; run == nil || run.Holds+run.Wait.Count == 0 && run.Stranded == 0 {
				missing[r.name] = append(missing[r.name], name)
			}
		}
	}
	return report, missing
}

// A caller that leaves must leave nothing behind: neither a hold nor, with etcd, a
// place in the queue that nobody will ever take.
func TestAWaitThatIsBrokenOffLeavesTheKeyFree(t *testing.T) {
	redis, etcd := servertest.Redis(t), servertest.Etcd(t)
	for _, s := range rivals() {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			at := bench.Place{Addr: redis.Addr, Run: s.Name()}
			if s.Describe().Place == bench.PlaceEtcd {
				at.Addr = etcd.Addr
			}
			l := open(t, ctx, s, at)
			// Another process, where there can be one: it knows of no hold of the first.
			other := l
			if s.Describe().Place != bench.PlaceProcess {
				other = open(t, ctx, s, at)
			}
			held := lock(t, ctx, l, s.Name())
			short, end := context.WithTimeout(ctx, 50*time.Millisecond)
			defer end()
			left := make(chan error, 1)
			go func() { // ends with its ctx, or when the key is free
				_, err := l.Lock(short, s.Name())
				left <- err
			}()
			<-short.Done()
			// One that can't be broken off finds out now.
			if deaf(s) {
				release(t, held)
			}
			select {
			case err := <-left:
				if err == nil {
					t.Error("it got a key that was held, or after its time")
				}
			case <-ctx.Done():
				t.Fatal("it waits on after its time")
			}
			if !deaf(s) {
				release(t, held)
			}
			release(t, lock(t, ctx, other, s.Name()))
		})
	}
}

// deaf says whether a wait for the lock can't be broken off.
func deaf(s bench.Strategy) bool {
	return slices.Contains([]string{"moby-locker", "rwmutex", "etcd-rwmutex"}, s.Name())
}

func open(t *testing.T, ctx context.Context, s bench.Strategy, at bench.Place) bench.Locker {
	t.Helper()
	l, err := s.Open(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func lock(t *testing.T, ctx context.Context, l bench.Locker, key string) bench.Held {
	t.Helper()
	held, err := l.Lock(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func release(t *testing.T, held bench.Held) {
	t.Helper()
	if err := held.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-workloads", "hot,nonsense"}, {"-workloads", "hot,hot"}, {"-experiments", "nonsense"}, {"-strategies", "nonsense"},
		{"-workloads", "", "-experiments", ""}, {"-rounds", "0"}, {"-duration", "0s"}, {"-pool", "-1"}, {"hot"}, {"-nonsense"},
		{"-markdown", filepath.Join(t.TempDir(), "none.json")},
	} {
		var out, errs bytes.Buffer
		if err := run(t.Context(), args, &out, &errs); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

// A row that is a point of an experiment is that very workload, or a report would
// show two curves in one.
func TestRowsAreThePointsOfTheirExperiments(t *testing.T) {
	for _, e := range bench.Experiments(bench.Scale{Few: true}) {
		for _, p := range e.Points {
			for _, r := range rows() {
				w := r.workload
				w.Name = p.Workload.Name
				if r.experiment == e.Name && r.x == p.X && w != normal(p.Workload) {
					t.Errorf("%s: %+v, want %+v", r.name, w, p.Workload)
				}
			}
		}
	}
}

// normal has no times, and one process as no processes.
func normal(w bench.Workload) bench.Workload {
	w.Warmup, w.Duration = 0, 0
	if w.Processes == 1 {
		w.Processes = 0
	}
	return w
}

func TestThePlanHasRowsAndExperiments(t *testing.T) {
	o, err := parse([]string{"-workloads", "hot,turns", "-experiments", "contenders,recovery", "-strategies", "pylock,redsync", "-within", "1m", "-duration", "7s"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Experiments {
		got = append(got, e.Name)
		for _, point := range e.Points {
			judged := e.Name == "turns" || e.Name == bench.Contenders && point.X == 64
			if long := point.Workload.Duration == 7*time.Second; long != judged {
				t.Errorf("%s %v: %v", e.Name, point.X, point.Workload.Duration)
			}
			if asked := slices.Contains(point.Only, "pylock"); asked != (e.Name != "turns") {
				t.Errorf("%s %v: %q", e.Name, point.X, point.Only)
			}
			if row := slices.Contains(point.Only, ours); row != judged {
				t.Errorf("%s %v: %q", e.Name, point.X, point.Only)
			}
		}
	}
	if !slices.Equal(got, []string{bench.Contenders, bench.Recovery, "turns"}) {
		t.Errorf("experiments %q", got)
	}
	if slices.ContainsFunc(p.Strategies, func(s bench.Strategy) bool { return s.Name() == "turnstile-memcached" }) {
		t.Error("a strategy is listed that nothing measures")
	}
}

// Workers learn of a pool by their environment, and all on Redis have the same.
func TestThePoolIsEverybodys(t *testing.T) {
	t.Setenv(poolEnv, "7")
	for _, name := range []string{ours, lingering, "redsync", "redislock"} {
		s, err := bench.Among(everything())(name)
		if err != nil {
			t.Fatal(err)
		}
		if told := s.Describe().Settings; !strings.Contains(told, "pool_size=7") && !strings.Contains(told, "7 connections") {
			t.Errorf("%s: %s", name, told)
		}
	}
}

// The digits are patched into requests that were built once; what travels has
// to be what a request with that token would be.
func TestABatchIsNumberedLikeTokens(t *testing.T) {
	session := backends.NewSession()
	b := newBatch([]string{"key7", "key8"}, session)
	b.number(123_456_789_012)
	for i, text := range []string{string(b.acquires), string(b.releases)} {
		for n := uint64(123_456_789_012); n < 123_456_789_014; n++ {
			if strings.Count(text, session.Token(n).Wire()) != 1 {
				t.Errorf("half %d: no token %d", i, n)
			}
		}
	}
}

func TestACeilingNeedsKeysForAllConnections(t *testing.T) {
	if _, _, err := (ceiling{}).Work(t.Context(), bench.Place{}, bench.Workload{Keys: ceilingConns - 1}); err == nil {
		t.Error("it ran")
	}
	if _, err := (ceiling{}).Open(t.Context(), bench.Place{}); err == nil {
		t.Error("it was opened as a lock")
	}
}

func TestAnInterruptedRunIsReported(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var out, progress bytes.Buffer
	err := run(ended, []string{"-workloads", "free", "-experiments", ""}, &out, &progress)
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "Broken off") {
		t.Errorf("%v\n%s", err, &out)
	}
}
