//go:build unix

package faults

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// sent is how many commands clients sent that locking is made of. PUBLISH also
// counts those of the scripts, so it is rather too many.
func sent(t *testing.T, inside *goredis.Client) (n int) {
	t.Helper()
	stats, err := inside.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`cmdstat_(?:evalsha|eval|script\|load|publish|subscribe|ping):calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
		calls, _ := strconv.Atoi(m[1])
		n += calls
	}
	return n
}

// compete lets workers compete for a time, and until each has had many holds. It
// returns the start and the end of that.
func compete(t *testing.T, workers []*worker, length time.Duration) (from, to int64) {
	t.Helper()
	const many = 300
	had := make([]int, len(workers))
	for i, w := range workers {
		had[i] = w.ledger.len()
	}
	from = stamp()
	rest(t.Context(), length)
	for i, w := range workers {
		eventually(t, patience, "the process has many holds", func() bool { return w.ledger.len() >= had[i]+many })
	}
	return from, stamp()
}

// fair is the least value of Jain's index. Processes on a shared machine get unequal
// shares of the processors.
func fair(index float64) float64 {
	if *long {
		return index
	}
	return 0.7
}

// wantSeldom checks that holds that are handed on take no commands. A process's turn takes some: it
// lasts for 20 ms or 1023 holds. Those that wait ask some hundred times a second. On a machine
// that has time for few holds that may be more than one a hold.
func wantSeldom(t *testing.T, commands, holds int, took time.Duration) {
	t.Helper()
	most := 2000*took.Seconds() + float64(holds)/50
	if *long {
		most = 0.05 * float64(holds)
	}
	if float64(commands) > most {
		t.Errorf("%d commands in %v for %d holds: more than %.0f", commands, took, holds, most)
	}
}

// TestFourProcessesShareOneKey is 64 goroutines in four processes.
func TestFourProcessesShareOneKey(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	length := 2 * time.Second
	if *long {
		length = 10 * time.Second
	}
	var workers []*worker
	for range 4 {
		workers = append(workers, start(t, spec{URL: server.URL(), Key: "hot", Goroutines: 16, Expires: 10 * time.Second}))
	}
	before, began := sent(t, inside), time.Now()
	for _, w := range workers {
		w.say("begin")
	}
	// From when all of them have had the key: their starts are not the lock's doing.
	for _, w := range workers {
		eventually(t, 5*time.Second, "each process has had the key", func() bool { return w.ledger.len() > 0 })
	}
	from, to := compete(t, workers, length)
	for _, w := range workers {
		w.say("stop")
	}
	var lists [][]entry
	for i, w := range workers {
		w.finish()
		lists = append(lists, w.entries(i))
	}
	commands := sent(t, inside) - before
	all, err := merge(lists...)
	if err != nil {
		t.Error(err)
	}
	counts := make([]int, len(workers))
	for i, list := range lists {
		for _, e := range list {
			if e.granted >= from && e.granted < to {
				counts[i]++
			}
		}
		if gap, _ := longestGap(list, from, to); gap > time.Second+jitter {
			t.Errorf("process %d had to wait for %v", i, gap)
		} else {
			t.Logf("process %d: %d holds, longest wait %v", i, counts[i], gap)
		}
	}
	each := float64(commands) / float64(len(all))
	t.Logf("%d holds, %.0f a second; Jain %.4f; %.5f commands a hold", len(all), float64(len(all))/time.Duration(to-from).Seconds(), jain(counts), each)
	if jain(counts) < fair(0.95) {
		t.Errorf("Jain over processes %.4f: %v", jain(counts), counts)
	}
	wantSeldom(t, commands, len(all), time.Since(began))
}

// A raid kills four of eight processes again and again, at random times that
// are so far apart, and starts new ones in their place.
type raid struct {
	length         time.Duration
	pause, further time.Duration // from kill to kill: pause, and up to further more
	// each is what a kill may cost beyond L1 if it falls into what the one before
	// still costs: a dead waiter that counts as alive is given the lock, for a second.
	each time.Duration
}

// A kill costs the others the dead holder's lease, or a dead waiter's second.
func TestAKilledProcessStallsNobodyBeyondL1(t *testing.T) {
	beside(t)
	r := raid{length: 6 * time.Second, pause: 2100 * time.Millisecond, further: 500 * time.Millisecond}
	if *long {
		r.length = 30 * time.Second
	}
	r.run(t)
}

// Where both meet, they cost both.
func TestAStormOfKillsCostsASecondEach(t *testing.T) {
	beside(t)
	r := raid{length: 4 * time.Second, pause: 100 * time.Millisecond, further: 800 * time.Millisecond, each: time.Second}
	if *long {
		r.length = 30 * time.Second
	}
	r.run(t)
}

func (r raid) run(t *testing.T) {
	t.Helper()
	server, _ := redisServer(t)
	const expires = 400 * time.Millisecond
	r.against(t, server.URL(), expires, l1(expires))
}

// against raids the clients of a server, whose survivors may stall for most a kill.
func (r raid) against(t *testing.T, url string, expires, most time.Duration) {
	t.Helper()
	s := spec{URL: url, Key: "deadly", Goroutines: 2, Section: 2 * time.Millisecond, Expires: expires}
	launch := func() *worker {
		w := start(t, s)
		w.say("begin")
		return w
	}
	var living, dead []*worker // the first four of the living survive
	for range 8 {
		living = append(living, launch())
	}
	eventually(t, 5*time.Second, "all take part", func() bool {
		return !slices.ContainsFunc(living, func(w *worker) bool { return w.ledger.len() == 0 })
	})
	from := stamp()
	for time.Duration(stamp()-from) < r.length {
		i := 4 + rand.N(4)
		living[i].kill()
		dead = append(dead, living[i])
		living[i] = launch()
		rest(t.Context(), r.pause+rand.N(r.further))
	}
	// What the last of the dead left in the queue counts as alive for a second.
	// When all the living have had two turns after that, it has come to the head
	// of the queue and was cleared away.
	rest(t.Context(), time.Second+heartbeat)
	turns := make([]int, len(living))
	for i, w := range living {
		turns[i] = w.ledger.len()
	}
	eventually(t, 10*time.Second, "all the living have two more turns", func() bool {
		for i, w := range living {
			if w.ledger.len() < turns[i]+2 {
				return false
			}
		}
		return true
	})
	to := stamp()
	for _, w := range living {
		w.say("stop")
	}
	var lists [][]entry
	for i, w := range slices.Concat(living, dead) {
		if w.killed == 0 {
			w.finish()
		}
		lists = append(lists, w.entries(i))
	}
	if _, err := merge(lists...); err != nil {
		t.Error(err)
	}
	survivors, _ := merge(lists[:4]...)
	r.checkStalls(t, survivors, dead, most, from, to)
}

// checkStalls looks at each pause between the survivors' grants, up to the last.
func (r raid) checkStalls(t *testing.T, survivors []entry, dead []*worker, most time.Duration, from, to int64) {
	t.Helper()
	var worst time.Duration
	last := from
	look := func(now int64) {
		gap, kills := time.Duration(now-last), 0
		for _, w := range dead {
			if w.killed > last-int64(time.Second) && w.killed < now {
				kills++
			}
		}
		allowed := most + time.Duration(max(kills-1, 0))*r.each
		if gap > allowed+jitter {
			t.Errorf("the survivors stalled for %v: %d kills allow %v", gap, kills, allowed)
		}
		worst = max(worst, gap)
		last = now
	}
	for _, e := range survivors {
		if e.granted > from && e.granted <= to {
			look(e.granted)
		}
	}
	look(to)
	t.Logf("%d kills, %d holds of survivors, longest stall %v (L1 %v)", len(dead), len(survivors), worst, most)
}

// TestAThirdProcessIsHeardToo: the third begins to wait when the lock has gone
// from the first to the second, whose session it never met before.
func TestAThirdProcessIsHeardToo(t *testing.T) {
	beside(t)
	server, _ := redisServer(t)
	// Of holds that take no time, 1023 are over before anybody has to be told: the
	// renewal behind them tells. At 1 ms each a Tenure is 20, and a message is needed.
	s := spec{URL: server.URL(), Key: "relay", Goroutines: 16, Section: time.Millisecond, Expires: 10 * time.Second}
	first, second := start(t, s), start(t, s)
	s.Goroutines, s.Section, s.Pause = 1, 0, 30*time.Millisecond // it comes back, and is a newcomer each time
	third := start(t, s)
	first.say("begin")
	eventually(t, 5*time.Second, "the first has it", func() bool { return first.ledger.len() > 0 })
	second.say("begin")
	eventually(t, 5*time.Second, "the second has it", func() bool { return second.ledger.len() > 0 })
	first.say("stop") // now the second is alone, and hands over as it likes
	first.finish()
	alone := second.ledger.len()
	eventually(t, 5*time.Second, "the second goes on alone", func() bool { return second.ledger.len() > alone+100 })
	third.say("begin")
	eventually(t, 20*time.Second, "the third has had 30 holds", func() bool { return third.ledger.len() >= 30 })
	third.say("stop")
	third.finish()
	second.say("stop")
	second.finish()

	rival := second.entries(1)
	newcomer := third.entries(2)
	if _, err := merge(first.entries(0), rival, newcomer); err != nil {
		t.Error(err)
	}
	var waits []time.Duration
	for _, e := range newcomer {
		waits = append(waits, time.Duration(e.granted-e.asked))
	}
	slices.Sort(waits)
	median, most := waits[len(waits)/2], waits[len(waits)-1]
	t.Logf("%d waits beside %d holds: median %v, longest %v", len(waits), len(rival), median, most)
	if median > 2*tenure {
		t.Errorf("the third waited %v: the second does not know of it", median)
	}
	if most > tenure+heartbeat+jitter {
		t.Errorf("the third once waited %v", most)
	}
}

// TestAStoppedProcessClaimsNothing stops a holder for 2 × expires, a few times.
func TestAStoppedProcessClaimsNothing(t *testing.T) {
	beside(t)
	everywhere(t, func(t *testing.T, p *place) {
		rounds := 4
		if p.form != oneServer {
			rounds = 1 // the other way to the server ends in the same clock
		}
		const expires = 500 * time.Millisecond
		stopHolders(t, p.URL(""), p.key("frozen"), rounds, expires, l1(expires))
	})
}

// stopHolders stops whoever has the key, for 2 × expires; the other one has to get
// it within most.
func stopHolders(t *testing.T, url, key string, rounds int, expires, most time.Duration) {
	t.Helper()
	s := spec{URL: url, Key: key, Goroutines: 1, Expires: expires, Claim: true}
	var workers []*worker
	for range 2 {
		w := start(t, s)
		w.say("begin")
		workers = append(workers, w)
	}
	for round := range rounds {
		// Whoever has the key is stopped; the other one waits for it.
		var holder, other *worker
		eventually(t, 5*time.Second, "one of them has the key", func() bool {
			for i, w := range workers {
				n := w.ledger.len()
				if n == 0 {
					continue
				}
				if c := &w.ledger.claims[n-1]; time.Duration(stamp()-c.ended.Load()) < 10*time.Millisecond {
					holder, other = w, workers[1-i]
					return true
				}
			}
			return false
		})
		holder.signal(syscall.SIGSTOP)
		stopped, had := stamp(), other.ledger.len()
		eventually(t, most, "the other gets the key", func() bool { return other.ledger.len() > had })
		t.Logf("round %d: the other got it after %v", round, time.Duration(stamp()-stopped))
		rest(t.Context(), 2*s.Expires-time.Duration(stamp()-stopped))
		holder.signal(syscall.SIGCONT)
		resumed := stamp()
		last := &holder.ledger.claims[holder.ledger.len()-1]
		rest(t.Context(), 20*time.Millisecond) // what a claim made in spite of it would need
		if ended := last.ended.Load(); ended > resumed {
			t.Errorf("round %d: stopped for 2 × expires, and still claimed the key %v after", round, time.Duration(ended-resumed))
		}
	}
	for _, w := range workers {
		w.say("stop")
	}
	for _, w := range workers {
		w.finish()
	}
	all, err := merge(workers[0].entries(0), workers[1].entries(1))
	if err != nil {
		t.Error(err)
	}
	if len(all) < rounds+1 {
		t.Errorf("%d claims: the stops changed nothing", len(all))
	}
}
