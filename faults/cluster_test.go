//go:build unix

package faults

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/lockclient"
	"github.com/turnstile-go/turnstile/scripts"
)

// Regression: claims that overlapped were excused by a replacement only if the node had
// not come back.
func TestANodeThatCameBackWasReplaced(t *testing.T) {
	beside(t)
	p, cluster := onThisCluster(t)
	l := newClusterLoad(t, p, p.key("hot"), time.Second)
	node := p.server(l.hot)
	if !l.kept(l.hot, node) {
		t.Error("it was not replaced")
	}
	replica, err := cluster.Replica(node)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cluster.Failover(replica), cluster.Failover(node)); err != nil {
		t.Fatal(err)
	}
	if now, err := p.settled(l.hot); now != node || err != nil {
		t.Fatalf("it has not come back: %v", err)
	}
	if l.kept(l.hot, node) {
		t.Error("it was replaced, and came back")
	}
}

// A slot moves away and back while its keys are in demand. On its way nothing
// can be had of it that isn't whole on one side (TRYAGAIN), so callers wait, and
// who holds a key has to have the patience to renew it until the slot has
// arrived. Then all of them have to follow it.
func TestASlotMovesUnderLoad(t *testing.T) {
	beside(t)
	p, cluster := onThisCluster(t)
	const expires, onTheWay = 1500 * time.Millisecond, 300 * time.Millisecond
	l := loadCluster(t, p, p.key("hot"), expires)
	slot, home := slotOf(l.hot), p.server(l.hot)
	holder := open(t, p.URL(""), "holder")
	// In the slot as well: its tag is the hot key's.
	beside := "{pylock:" + l.hot + "}"
	held := acquire(t, holder, beside, lockclient.Expires(expires), lockclient.Renew())
	var began, arrived []int64
	for _, to := range []*servers.Server{p.otherThan(home), home} {
		began = append(began, stamp())
		move, err := cluster.BeginMove(slot, to)
		if err != nil {
			t.Fatal(err)
		}
		// The lock goes first, and what belongs to it stays for a while.
		if err := move.MigrateKey("pylock:" + beside); err != nil {
			t.Fatal(err)
		}
		rest(t.Context(), onTheWay)
		if err := errors.Join(move.MigrateKeys(), move.Finish()); err != nil {
			t.Fatal(err)
		}
		arrived = append(arrived, stamp())
		l.awaitPulse(l.rate)
	}
	if err := held.Context().Err(); err != nil {
		t.Errorf("the hold that was renewed on the way: %v", context.Cause(held.Context()))
	}
	release(t, held)
	l.disperse()
	hot := l.claimed(l.hot, home)
	// On a slow machine one process may hand the key on under its lease all the way, and
	// ask the server for nothing. Then the way back has to show it.
	var longest time.Duration
	for i := range arrived {
		l.wantBack(hot, l.rate, arrived[i])
		waited := waits(hot, began[i], arrived[i])
		t.Logf("on the way for %v; who asked meanwhile waited: %s", time.Duration(arrived[i]-began[i]), summary(waited))
		longest = max(longest, percentile(waited, 100))
	}
	if longest < onTheWay {
		t.Error("nobody had to wait: the test proves nothing")
	}
	l.wantOthers(began[0], arrived[1], nil, 2*hardly())
	if len(l.unclean) > 0 {
		t.Errorf("releases: %v", l.unclean)
	}
	l.wantNothingStuck(open(t, p.URL(""), "late"))
}

// hardly is how long a key of a healthy node may keep its caller waiting: a lost
// message and the machine's jitter.
func hardly() time.Duration { return heartbeat + jitter }

// wantOthers checks the keys of all nodes but one: nothing held them up, and none
// of them for longer than most.
func (l *clusterLoad) wantOthers(from, to int64, but *servers.Server, most time.Duration) {
	l.t.Helper()
	var all []entry
	for node, keys := range l.others {
		for _, key := range keys {
			list := l.claimed(key, node)
			if node != but {
				all = append(all, list...)
			}
		}
	}
	sorted := waits(all, from, to)
	l.t.Logf("who asked for keys of other nodes waited: %s", summary(sorted))
	if len(sorted) < 100 || percentile(sorted, 99) > hardly() || percentile(sorted, 100) > most {
		l.t.Errorf("keys of other nodes were held up: %s", summary(sorted))
	}
}

// A master dies, and its replica takes its place. What it had granted in its
// last moments the replica may have missed: such a hold may overlap the next.
func TestAMasterOfAClusterDiesUnderLoad(t *testing.T) {
	beside(t)
	p, _ := onThisCluster(t)
	p.replaced = true
	const expires = time.Second
	// The hot key's node has a session's inbox as well.
	c := open(t, p.URL(""), "it")
	channel, old := p.onlyInbox()
	held := acquire(t, c, p.keyAt(p.otherThan(old), "k"), lockclient.Expires(time.Minute)) // or it would not be used
	l := loadCluster(t, p, p.keyAt(old, "hot"), expires)
	killed := stamp()
	old.Stop()
	replica, err := p.settled(l.hot)
	if err != nil {
		t.Fatal(err)
	}
	promoted := stamp()
	l.awaitPulse(l.rate)
	// Two of the longest pauses between connections: one of them leads to the dead
	// node still, and has the driver look for another.
	eventually(t, 2*time.Second, "the inbox is on the replica", func() bool { return p.hasInbox(replica, channel) })
	release(t, held)
	l.disperse()
	straddles := func(before, e entry) bool { return before.granted < killed && e.granted > killed }
	hot := l.of(l.hot, straddles)
	t.Logf("a replica took over after %v; who asked meanwhile waited: %s", time.Duration(promoted-killed), summary(waits(hot, killed, promoted)))
	l.wantBack(hot, l.rate, promoted)
	for _, key := range l.others[old] {
		for _, wait := range waits(l.of(key, straddles), l.begun, promoted) {
			if wait > time.Duration(promoted-killed)+2*expires+jitter {
				t.Errorf("%s: a caller waited for %v", key, wait)
			}
		}
	}
	// The Cluster refuses everything while it has slots of nobody's.
	l.wantOthers(l.begun, promoted, old, time.Duration(promoted-killed)+hardly())
	t.Logf("releases: %v", l.unclean)
	if err := old.Restart(); err != nil {
		t.Fatal(err)
	}
	l.wantNothingStuck(open(t, p.URL(""), "late"))
}

// A node that is stopped, and not gone, answers nothing and refuses nothing.
// That is no concern of the keys of other nodes.
func TestAStoppedNodeHoldsUpNoOther(t *testing.T) {
	beside(t)
	p, _ := onThisCluster(t)
	p.replaced = true
	// Otherwise the nodes themselves refuse everything as long as one has failed.
	p.configure("cluster-require-full-coverage", "no", "yes")
	const expires = time.Second
	l := loadCluster(t, p, p.key("hot"), expires)
	node := p.server(l.hot)
	for process, client := range l.clients {
		// More than may be on their way alone, or they would not meet the others.
		for range 12 {
			l.join(process, client, task{key: p.keyAt(node, "own"), section: time.Millisecond, pause: 5 * time.Millisecond})
		}
	}
	rest(t.Context(), 200*time.Millisecond)
	stopped := stamp()
	if err := node.Pause(); err != nil {
		t.Fatal(err)
	}
	rest(t.Context(), 2*expires)
	resumed := stamp()
	if err := node.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.settled(l.hot); err != nil {
		t.Fatal(err)
	}
	healed := stamp()
	l.awaitPulse(l.rate)
	l.disperse()
	l.wantBack(l.claimed(l.hot, node), l.rate, healed)
	l.wantOthers(stopped, resumed, node, 2*hardly())
	t.Logf("releases: %v", l.unclean)
	l.wantNothingStuck(open(t, p.URL(""), "late"))
}

// A session's inbox is on the node that has its channel's slot, and goes with it.
func TestAnInboxFollowsItsSlot(t *testing.T) {
	beside(t)
	p, cluster := onThisCluster(t)
	c, key := open(t, p.URL(""), "it"), p.key("k")
	channel, home := p.onlyInbox()
	held := acquire(t, c, key, lockclient.Expires(time.Minute)) // an inbox without use stays where it was
	for _, to := range []*servers.Server{p.otherThan(home), home} {
		if err := cluster.MoveSlot(scripts.Slot(channel), to); err != nil {
			t.Fatal(err)
		}
		// It is told, and connects anew: perhaps to the old node once more, since the
		// one that the driver asks may not have heard of it yet.
		eventually(t, time.Second, "it is where the slot is", func() bool { return p.hasInbox(to, channel) })
	}
	release(t, held)
}

// onlyInbox is the channel of the only session that there is, and where it is.
func (p *place) onlyInbox() (channel string, at *servers.Server) {
	p.t.Helper()
	for _, node := range p.masters() {
		for _, channel = range p.clients[node].PubSubShardChannels(p.t.Context(), "turnstile:inbox:*").Val() {
			return channel, node
		}
	}
	p.t.Fatal("there is no inbox")
	return "", nil
}

func (p *place) hasInbox(node *servers.Server, channel string) bool {
	return slices.Contains(p.clients[node].PubSubShardChannels(p.t.Context(), "*").Val(), channel)
}

// What only a Cluster says, by real servers.
func TestWhatAClusterRefusesForNowIsWaitedOut(t *testing.T) {
	beside(t)
	p, cluster := onThisCluster(t)
	c := open(t, p.URL(""), "tester")
	t.Run("a slot on its way", func(t *testing.T) {
		key := p.key("k")
		move, err := cluster.BeginMove(slotOf(key), p.otherThan(p.server(key)))
		if err != nil {
			t.Fatal(err)
		}
		wantWaitedOut(t, c, key, "TRYAGAIN", func() {
			if err := errors.Join(move.MigrateKeys(), move.Finish()); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("a slot of nobody's", func(t *testing.T) {
		key := p.key("k")
		inside := p.inside(key)
		if err := inside.ClusterDelSlots(t.Context(), slotOf(key)).Err(); err != nil {
			t.Fatal(err)
		}
		wantWaitedOut(t, c, key, "CLUSTERDOWN", func() {
			if err := inside.ClusterAddSlots(t.Context(), slotOf(key)).Err(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// A slot that is on its way for longer than a lease lasts: its holder is told in
// time that nobody could prove it.
func TestASlowMoveLosesAHoldInTime(t *testing.T) {
	beside(t)
	p, cluster := onThisCluster(t)
	c, key := open(t, p.URL(""), "tester"), p.key("k")
	var move *servers.Move
	wantLostBy(t, "TRYAGAIN", func() *lockclient.Lock {
		lock := acquire(t, c, key, lockclient.Expires(600*time.Millisecond), lockclient.Renew())
		var err error
		if move, err = cluster.BeginMove(slotOf(key), p.otherThan(p.server(key))); err != nil {
			t.Fatal(err)
		}
		return lock
	}, func() {
		if err := errors.Join(move.MigrateKeys(), move.Finish()); err != nil {
			t.Fatal(err)
		}
		release(t, acquire(t, c, key, lockclient.Timeout(patience)))
	})
}
