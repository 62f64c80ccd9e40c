//go:build unix

package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestFourProcessesShareOneKeyOnMemcached is 64 goroutines in four processes.
func TestFourProcessesShareOneKeyOnMemcached(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	length := 2 * time.Second
	if *long {
		length = 10 * time.Second
	}
	var workers []*worker
	for range 4 {
		workers = append(workers, start(t, spec{URL: server.URL(), Key: "hot", Goroutines: 16, Expires: 10 * time.Second}))
	}
	before, began := memcachedCommands(t, server.Addr), time.Now()
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
	commands := memcachedCommands(t, server.Addr) - before
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
		gap, _ := longestGap(list, from, to)
		t.Logf("process %d: %d holds, longest wait %v", i, counts[i], gap)
	}
	each := float64(commands) / float64(len(all))
	t.Logf("%d holds, %.0f a second; Jain %.4f; %.5f commands a hold", len(all), float64(len(all))/time.Duration(to-from).Seconds(), jain(counts), each)
	wantSeldom(t, commands, len(all), time.Since(began))
	if jain(counts) < fair(0.9) {
		t.Errorf("Jain over processes %.4f: %v", jain(counts), counts)
	}
}

// A kill costs the others the dead holder's lease; a dead waiter's wait item
// costs them a pause or two.
func TestAKilledProcessOnMemcachedStallsNobodyBeyondL1(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	const expires = time.Second
	r := raid{length: 5 * time.Second, pause: 4 * time.Second, further: 500 * time.Millisecond}
	if *long {
		r.length = 30 * time.Second
	}
	r.against(t, server.URL(), expires, memcachedL1(expires))
}

// TestAStoppedProcessOnMemcachedClaimsNothing stops a holder for 2 × expires.
func TestAStoppedProcessOnMemcachedClaimsNothing(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	const expires = time.Second
	rounds := 2
	if *long {
		rounds = 6
	}
	stopHolders(t, server.URL(), "frozen", rounds, expires, memcachedL1(expires))
}

// TestFencesGrowThoughMemcachedForgets: four processes, and a server that is
// flushed, or killed and started again, every 300 ms. Then two may have the key
// together; but whoever asks for it after another had it gets a greater fence,
// and so a resource that checks fences takes nothing from the older one (S3).
func TestFencesGrowThoughMemcachedForgets(t *testing.T) {
	beside(t)
	server, _ := memcachedServer(t)
	length := 3 * time.Second
	if *long {
		length = 10 * time.Second
	}
	var workers []*worker
	for range 4 {
		// One goroutine each: a hold is a lease.
		workers = append(workers, start(t, spec{URL: server.URL(), Key: "hot", Goroutines: 1, Section: 2 * time.Millisecond, Expires: 10 * time.Second}))
	}
	for _, w := range workers {
		w.say("begin")
	}
	var forgot []int64
	for from := stamp(); time.Duration(stamp()-from) < length; {
		rest(t.Context(), 300*time.Millisecond)
		forgot = append(forgot, stamp())
		if len(forgot)%2 == 0 {
			restart(t, server)
		} else {
			tellOK(t, server.Addr, "flush_all")
		}
		forgot = append(forgot, stamp())
	}
	for _, w := range workers {
		w.say("stop")
	}
	var lists [][]entry
	for i, w := range workers {
		w.finish()
		lists = append(lists, w.entries(i))
	}
	all := slices.Concat(lists...)
	if err := fencesInOrder(all); err != nil {
		t.Error(err)
	}
	overlaps, err := overlapsExplained(all, forgot)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d holds, forgotten %d times, %d overlaps", len(all), len(forgot)/2, overlaps)
	if len(all) < 100 {
		t.Errorf("only %d holds", len(all))
	}
}

// fencesInOrder checks that nobody was given a fence that is no greater than one
// which was given before they asked.
func fencesInOrder(all []entry) error {
	byGrant := slices.SortedFunc(slices.Values(all), func(a, b entry) int { return int(a.granted - b.granted) })
	byAsk := slices.SortedFunc(slices.Values(all), func(a, b entry) int { return int(a.asked - b.asked) })
	var highest entry
	for _, e := range byAsk {
		for len(byGrant) > 0 && byGrant[0].granted < e.asked {
			if byGrant[0].fence > highest.fence {
				highest = byGrant[0]
			}
			byGrant = byGrant[1:]
		}
		if e.fence <= highest.fence {
			return fmt.Errorf("FENCE: %v; before it asked, %v", e, highest)
		}
	}
	return nil
}

// overlapsExplained counts overlaps, of which each needs a moment within the first
// of the two at which the server forgot it. forgot has each moment's begin and end.
func overlapsExplained(all []entry, forgot []int64) (n int, err error) {
	slices.SortFunc(all, func(a, b entry) int { return int(a.granted - b.granted) })
	for i := 1; i < len(all); i++ {
		before, e := all[i-1], all[i]
		if e.granted >= before.ended {
			continue
		}
		n++
		explained := false
		for f := 0; f+1 < len(forgot); f += 2 {
			// The grant was on its way before it was noted.
			explained = explained || forgot[f] <= e.granted && forgot[f+1] >= before.asked
		}
		if !explained {
			return n, fmt.Errorf("OVERLAP: %v; %v", before, e)
		}
	}
	return n, nil
}
