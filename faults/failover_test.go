//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/lockclient"
)

// A resource is what a lock protects, twice: the fenced half refuses whoever has
// a lower fence than it has seen, the other half takes what comes.
//
// Which of two holds is the later one shows in when it was granted. The fences
// have no part in that, or they would be checked against themselves.
type resource struct {
	mu                sync.Mutex // protects the rest
	fence             uint64     // the highest that was seen
	fenced, unfenced  time.Time  // the latest hold's that has written
	accepted, refused int
	stale             int // writes that the fenced half took although a later hold had written
	overtaken         int // and the other half
}

// write is what a holder does, or somebody who takes himself for one.
func (r *resource) write(lock *lockclient.Lock, granted time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if granted.Before(r.unfenced) {
		r.overtaken++
	} else {
		r.unfenced = granted
	}
	if lock.Fence() < r.fence {
		r.refused++
		return
	}
	r.fence = lock.Fence()
	r.accepted++
	if granted.Before(r.fenced) {
		r.stale++
	} else {
		r.fenced = granted
	}
}

// wantUnharmed checks that the fenced half took no stale write, and that the other
// took at least so many, or it would prove nothing.
func (r *resource) wantUnharmed(t *testing.T, name string, overtaken int) {
	t.Helper()
	t.Logf("%s: %d writes; refused for their fence %d, overtaken without one %d", name, r.accepted, r.refused, r.overtaken)
	if r.stale > 0 {
		t.Errorf("%s: the fenced resource took %d stale writes", name, r.stale)
	}
	if r.overtaken < overtaken {
		t.Errorf("%s: only %d writes were overtaken: the test proves nothing", name, r.overtaken)
	}
}

// A usurpation is a fail-over to a replica that lags: what was granted since
// hold is not known to the server that over brings.
type usurpation struct {
	hold, over, rejoin func() error
}

// TestAFailoverToALaggingReplica: a master dies in the midst of things, and the
// replica that takes its place has never heard of its last leases. Others are
// granted the same keys, while the holders find out. That no lock can prevent;
// that a resource which looks at fences comes to no harm is promised.
func TestAFailoverToALaggingReplica(t *testing.T) {
	beside(t)
	rounds := 2
	if *long {
		rounds = 20
	}
	t.Run(string(sentinels), func(t *testing.T) {
		p, s := byTheseSentinels(t)
		over := func() error { _, err := s.FailOver(); return err }
		failOver(t, p, p.key("hot"), usurpation{hold: s.HoldReplication, over: over, rejoin: s.Rejoin}, rounds)
	})
	if !*long {
		// Of a Cluster on a machine that is busy with other packages' tests, the
		// replica was once not elected, and with the Cluster all that follows is down.
		return
	}
	t.Run(string(aCluster), func(t *testing.T) {
		p, c := onThisCluster(t)
		hot := p.key("hot")
		failOver(t, p, hot, usurp(p, c, slotOf(hot)), rounds/2)
	})
}

// usurp has the master of a slot replaced by its replica.
func usurp(p *place, c *servers.Cluster, slot int) usurpation {
	var old *servers.Server
	// A wrong password keeps a replica out, and its node in the Cluster.
	login := func(node *servers.Server, password string) error {
		return p.clients[node].ConfigSet(p.t.Context(), "masterauth", password).Err()
	}
	return usurpation{
		hold: func() error {
			master, err := c.AwaitMaster(slot)
			if err != nil {
				return err
			}
			replica, err := c.Replica(master)
			if err == nil {
				err = login(replica, "refused")
			}
			if err == nil {
				err = p.clients[master].Do(p.t.Context(), "CLIENT", "KILL", "TYPE", "REPLICA").Err()
			}
			eventually(p.t, 5*time.Second, "the replica is cut off", func() bool {
				info, err := p.clients[replica].Info(p.t.Context(), "replication").Result()
				return err == nil && strings.Contains(info, "master_link_status:down")
			})
			old = master
			return err
		},
		over: func() error {
			replica, err := c.Replica(old)
			if err != nil {
				return err
			}
			old.Stop()
			if _, err = c.AwaitMaster(slot); err == nil {
				err = login(replica, "")
			}
			return err
		},
		rejoin: func() error { return errors.Join(old.Restart(), c.AwaitWhole()) },
	}
}

func failOver(t *testing.T, p *place, hotKey string, u usurpation, rounds int) {
	p.replaced = true
	const expires = time.Second
	c := gather(t, hotKey, expires)
	hot, slow := new(resource), new(resource)
	var clients []*lockclient.Client
	for process := range 3 {
		client := open(t, p.URL(""), fmt.Sprint("client ", process))
		clients = append(clients, client)
		for range 4 {
			c.join(process, client, task{key: hotKey, section: time.Millisecond, write: hot.write})
		}
	}
	eventually(t, 10*time.Second, "the load runs", func() bool { return c.granted.Load() > 100 })
	var killed, promoted []int64
	var rates []float64
	for round := range rounds {
		rates = append(rates, c.pulse(500*time.Millisecond))
		at, healed := u.strike(t, p, hotKey, clients[round%3], clients[(round+1)%3], slow)
		killed, promoted = append(killed, at), append(promoted, healed)
		c.awaitPulse(rates[round])
		if err := u.rejoin(); err != nil {
			t.Fatal(err)
		}
	}
	c.disperse()
	list := c.of(hotKey, func(before, e entry) bool {
		for _, at := range killed {
			if before.granted < at && e.granted > at {
				return true
			}
		}
		return false
	})
	for i := range promoted {
		t.Logf("round %d: promoted after %v; who asked meanwhile waited: %s", i, time.Duration(promoted[i]-killed[i]), summary(waits(list, killed[i], promoted[i])))
		c.wantBack(list, rates[i], promoted[i])
	}
	hot.wantUnharmed(t, "hot", 0)
	slow.wantUnharmed(t, "slow", rounds)
	t.Logf("%d holds; releases: %v", len(list), c.unclean)
	c.wantNothingStuck(open(t, p.URL(""), "late"))
}

// strike has the master of a key replaced, while one client holds another key of
// it that two waits for, and a lease of a third lingers.
func (u usurpation) strike(t *testing.T, p *place, key string, one, two *lockclient.Client, r *resource) (killed, promoted int64) {
	t.Helper()
	lingers := openWith(t, lockclient.Config{Backend: p.URL(""), Owner: "lingering", Linger: 20 * time.Second})
	if err := u.hold(); err != nil {
		t.Fatal(err)
	}
	master := p.server(key)
	left := acquire(t, lingers, p.keyAt(master, "lingers"))
	release(t, left)
	usurped(t, one, two, p.keyAt(master, "slow"), r, func() {
		killed = stamp()
		if err := u.over(); err != nil {
			t.Fatal(err)
		}
		promoted = stamp()
	})
	wantNotTakenUp(t, lingers, two, left)
	return killed, promoted
}

// usurped is a hold that is lost with the server that granted it: another gets
// the key in the middle of it, and writes. Then the first writes once more.
func usurped(t *testing.T, one, two *lockclient.Client, key string, r *resource, failOver func()) {
	t.Helper()
	const expires = 2 * time.Second
	first := acquire(t, one, key, lockclient.Expires(expires), lockclient.Renew())
	granted1 := time.Now()
	told := make(chan time.Duration, 1)
	context.AfterFunc(first.Context(), func() { told <- time.Since(first.Deadline()) })
	r.write(first, granted1)
	out := acquiring(t, two, key, lockclient.Expires(expires), lockclient.Timeout(patience))
	eventually(t, time.Second, "the other waits", func() bool {
		info, err := two.Inspect(t.Context(), key)
		return err == nil && info.Processes != nil && *info.Processes == 1
	})
	failOver()
	second := granted(t, out, 2*expires)
	granted2 := time.Now()
	r.write(second, granted2)
	r.write(first, granted1)
	if second.Fence() <= first.Fence() {
		t.Errorf("fence %d after %d", second.Fence(), first.Fence())
	}
	if late := <-told; late > jitter/10 {
		t.Errorf("the first learned of it %v after its deadline", late)
	}
	if cause := context.Cause(first.Context()); !errors.Is(cause, lockclient.ErrLost) {
		t.Errorf("the first got %v, want ErrLost", cause)
	}
	r.write(second, granted2)
	release(t, second)
}

// wantNotTakenUp: the lease that lingers with a client went down with its
// server. Another gets the key, so the first may not take up what it had.
func wantNotTakenUp(t *testing.T, lingers, other *lockclient.Client, left *lockclient.Lock) {
	t.Helper()
	theirs := acquire(t, other, left.Key(), lockclient.Timeout(patience))
	if lock, err := lingers.Acquire(t.Context(), left.Key(), lockclient.Timeout(100*time.Millisecond)); err == nil {
		t.Errorf("granted with fence %d while another holds it with %d", lock.Fence(), theirs.Fence())
	} else if !errors.Is(err, lockclient.ErrTimeout) {
		t.Error(err)
	}
	release(t, theirs)
	last := acquire(t, lingers, left.Key(), lockclient.Timeout(patience))
	if left.Fence() >= theirs.Fence() || theirs.Fence() >= last.Fence() {
		t.Errorf("fences %d, %d, %d", left.Fence(), theirs.Fence(), last.Fence())
	}
	release(t, last)
}
