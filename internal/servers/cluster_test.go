package servers

import (
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// clusterClient is a client that finds its way through the cluster by its URL.
func clusterClient(t *testing.T, c *Cluster, login Credentials) *goredis.ClusterClient {
	t.Helper()
	options, err := goredis.ParseClusterURL(strings.Replace(c.URL(), "redis+cluster", "redis", 1))
	if err != nil {
		t.Fatal(err)
	}
	options.Username, options.Password = login.Username, login.Password
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := goredis.NewClusterClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// timed does what the servers themselves bound, and notes how long it took:
// on two shared cores a limit of seconds would fail for others' reasons.
func timed(t *testing.T, what string, f func() error) {
	t.Helper()
	start := time.Now()
	if err := f(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s took %v", what, time.Since(start).Round(time.Millisecond))
}

func slotOf(t *testing.T, client *goredis.ClusterClient, key string) int {
	t.Helper()
	slot, err := client.ClusterKeySlot(bounded(t), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return int(slot)
}

func masterOf(t *testing.T, c *Cluster, slot int) *Server {
	t.Helper()
	master, err := c.Master(slot)
	if err != nil {
		t.Fatal(err)
	}
	return master
}

func TestAClusterKeepsItsKeysOverFailOvers(t *testing.T) {
	t.Parallel() // it waits more than it works
	var c *Cluster
	timed(t, "the start", func() (err error) {
		c, err = StartRedisCluster(ClusterConfig{Masters: 3, Replicas: 1})
		return err
	})
	t.Cleanup(c.Close)
	if len(c.Nodes) != 6 || len(c.Addrs()) != 6 {
		t.Fatalf("%d nodes", len(c.Nodes))
	}
	client := clusterClient(t, c, Credentials{})
	slot := slotOf(t, client, "k")
	write(t, client, "k", "before")
	first := masterOf(t, c, slot)
	replica, err := c.Replica(first)
	if err != nil {
		t.Fatal(err)
	}

	first.Stop()
	timed(t, "the replacement of a dead master", func() error {
		now, err := c.AwaitMaster(slot)
		if err == nil && now != replica {
			t.Errorf("the master is %s, want %s", now.Addr, replica.Addr)
		}
		return err
	})
	// Left alone, the client asks the dead node for seconds.
	client.ReloadState(bounded(t))
	if _, err := c.Replica(replica); err == nil {
		t.Error("a dead node counts as a replica")
	}
	read(t, client, "k", "before")
	write(t, client, "k", "between")

	timed(t, "the return of the dead", func() error {
		if err := first.Restart(); err != nil {
			return err
		}
		return c.AwaitWhole()
	})
	if back, err := c.Replica(replica); err != nil || back != first {
		t.Errorf("the replica is %v (%v), want %s", back, err, first.Addr)
	}

	timed(t, "a fail-over by hand", func() error { return c.Failover(first) })
	if now := masterOf(t, c, slot); now != first {
		t.Errorf("the master is %s, want %s again", now.Addr, first.Addr)
	}
	client.ReloadState(bounded(t))
	read(t, client, "k", "between")

	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	timed(t, "the replacement of a stopped master", func() error {
		now, err := c.AwaitMaster(slot)
		if err == nil && now != replica {
			t.Errorf("the master is %s, want %s", now.Addr, replica.Addr)
		}
		return err
	})
	if err := first.Resume(); err != nil {
		t.Fatal(err)
	}
	timed(t, "its return", c.AwaitWhole)
	if now := masterOf(t, c, slot); now != replica {
		t.Errorf("the master is %s, want %s still", now.Addr, replica.Addr)
	}
}

func TestASlotMovesWithItsKeys(t *testing.T) {
	t.Parallel() // it waits more than it works
	login := Credentials{Username: "somebody", Password: "right secret"}
	c := begunWith(t, StartRedisCluster, ClusterConfig{Masters: 3, Credentials: login})
	if len(c.Nodes) != 3 {
		t.Fatalf("%d nodes", len(c.Nodes))
	}
	client := clusterClient(t, c, login)
	slot := slotOf(t, client, "{k}")
	// More than fit into one batch.
	keys := make([]string, moveBatch+2)
	for i := range keys {
		keys[i] = "{k}" + strconv.Itoa(i)
		write(t, client, keys[i], "v")
	}
	from := masterOf(t, c, slot)
	to := c.Nodes[0]
	if to == from {
		to = c.Nodes[1]
	}
	move, err := c.BeginMove(slot, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := move.MigrateKey(keys[0]); err != nil {
		t.Fatal(err)
	}
	// In the middle of it: what has moved is asked for there, and what hasn't here.
	asLogin := login.options()
	old := from.RedisClient(t, &asLogin)
	if err := old.Get(bounded(t), keys[0]).Err(); err == nil || !strings.HasPrefix(err.Error(), "ASK ") {
		t.Errorf("a key that has moved: %v, want ASK", err)
	}
	if err := old.Get(bounded(t), keys[1]).Err(); err != nil {
		t.Errorf("a key that hasn't: %v", err)
	}
	if err := old.MGet(bounded(t), keys[0], keys[1]).Err(); err == nil || !strings.HasPrefix(err.Error(), "TRYAGAIN") {
		t.Errorf("both at once: %v, want TRYAGAIN", err)
	}
	if now := masterOf(t, c, slot); now != from {
		t.Errorf("the master is %s before the end, want %s", now.Addr, from.Addr)
	}
	if err := move.Finish(); err == nil {
		t.Error("the slot was given away with keys left behind")
	}
	if err := move.MigrateKeys(); err != nil {
		t.Fatal(err)
	}
	timed(t, "the end of the move", move.Finish)
	if now := masterOf(t, c, slot); now != to {
		t.Errorf("the master is %s, want %s", now.Addr, to.Addr)
	}
	if err := old.Get(bounded(t), keys[0]).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED ") {
		t.Errorf("at the old master: %v, want MOVED", err)
	}
	for _, key := range keys {
		read(t, client, key, "v")
	}
	if err := c.MoveSlot(slot, from); err != nil {
		t.Fatal(err)
	}
	read(t, client, keys[1], "v")
}

func write(t *testing.T, client goredis.Cmdable, key, value string) {
	t.Helper()
	if err := client.Set(bounded(t), key, value, 0).Err(); err != nil {
		t.Fatalf("set %s: %v", key, err)
	}
}

func read(t *testing.T, client goredis.Cmdable, key, want string) {
	t.Helper()
	if got, err := client.Get(bounded(t), key).Result(); err != nil || got != want {
		t.Errorf("%s is %q (%v), want %q", key, got, err, want)
	}
}
