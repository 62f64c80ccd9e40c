package servers

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

// sentinelClient is a client that asks the sentinels where the master is.
func sentinelClient(t *testing.T, s *Sentinel, config SentinelConfig) *goredis.Client {
	t.Helper()
	hosts, _, ok := strings.Cut(strings.TrimPrefix(s.URL(), "redis+sentinel://"), "/0?master_name=mymaster")
	if !ok {
		t.Fatalf("URL %s", s.URL())
	}
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName: "mymaster", SentinelAddrs: strings.Split(hosts, ","),
		Username: config.Data.Username, Password: config.Data.Password,
		SentinelUsername: config.Sentinels.Username, SentinelPassword: config.Sentinels.Password,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestAPromotedReplicaLacksWhatWasHeldBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	var s *Sentinel
	timed(t, "the start", func() (err error) {
		s, err = StartRedisSentinel(SentinelConfig{})
		return err
	})
	t.Cleanup(s.Close)
	if len(s.Nodes) != 3 || len(s.Sentinels) != 3 {
		t.Fatalf("%d nodes, %d sentinels", len(s.Nodes), len(s.Sentinels))
	}
	for round := range 2 {
		old, err := s.Master()
		if err != nil {
			t.Fatal(err)
		}
		at := old.RedisClient(t, nil)
		kept, lost := "kept"+strconv.Itoa(round), "lost"+strconv.Itoa(round)
		timed(t, "a round", func() error {
			write(t, at, kept, "v")
			timed(t, "  holding", s.HoldReplication)
			write(t, at, lost, "v")
			if lag, err := s.Lag(); err != nil || lag <= 0 {
				t.Errorf("the replicas lag by %d (%v)", lag, err)
			}
			var now *Server
			timed(t, "  the promotion", func() (err error) {
				now, err = s.FailOver()
				return err
			})
			if now == old {
				t.Errorf("the master is %s still", old.Addr)
			}
			at = now.RedisClient(t, nil)
			read(t, at, kept, "v")
			if err := at.Get(bounded(t), lost).Err(); !errors.Is(err, goredis.Nil) {
				t.Errorf("%s: %v, want that it is lost", lost, err)
			}
			timed(t, "  the return", s.Rejoin)
			if back := old.RedisClient(t, nil); back.Get(bounded(t), kept).Val() != "v" {
				t.Error("the old master isn't a replica with what the new one has")
			}
			return nil
		})
	}
}

func TestSentinelsAndNodesHaveCredentialsOfTheirOwn(t *testing.T) {
	t.Parallel() // it waits more than it works
	config := SentinelConfig{
		Data:      Credentials{Username: "worker", Password: "data-secret"},
		Sentinels: Credentials{Password: "sentinel-secret"},
	}
	s := begunWith(t, StartRedisSentinel, config)
	client := sentinelClient(t, s, config)
	write(t, client, "k", "v")
	for _, server := range []*Server{s.Nodes[0], s.Sentinels[0]} {
		if err := server.RedisClient(t, &goredis.Options{MaxRetries: -1}).Ping(bounded(t)).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
			t.Errorf("with no password: %v, want NOAUTH", err)
		}
	}
	// A sentinel that was away knows after its return what it knew.
	s.Sentinels[0].Stop()
	if _, err := s.FailOver(); err != nil {
		t.Fatal(err)
	}
	read(t, client, "k", "v")
	if err := s.Sentinels[0].Restart(); err != nil {
		t.Fatal(err)
	}
	timed(t, "the return", s.Rejoin)
	read(t, client, "k", "v")
}

func TestAStoppedMasterIsReplacedAndComesBackAsAReplica(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := begunWith(t, StartRedisSentinel, SentinelConfig{})
	old, err := s.Master()
	if err != nil {
		t.Fatal(err)
	}
	client := sentinelClient(t, s, SentinelConfig{})
	write(t, client, "k", "v")
	// It wasn't its fault: what is held and released catches up.
	if err := s.HoldReplication(); err != nil {
		t.Fatal(err)
	}
	write(t, client, "k", "late")
	if err := s.ReleaseReplication(); err != nil {
		t.Fatal(err)
	}
	timed(t, "catching up", s.AwaitWhole)
	if err := old.Pause(); err != nil {
		t.Fatal(err)
	}
	timed(t, "the promotion", func() error {
		_, err := s.AwaitMaster(old)
		return err
	})
	if err := old.Resume(); err != nil {
		t.Fatal(err)
	}
	timed(t, "the return", s.AwaitWhole)
	read(t, client, "k", "late")

	second, err := s.Master()
	if err != nil || second == old {
		t.Fatalf("the master is %v (%v)", second, err)
	}
	if err := s.Sentinels[1].RedisClient(t, nil).Do(bounded(t), "SENTINEL", "FAILOVER", masterName).Err(); err != nil {
		t.Fatal(err)
	}
	// The old one lives, and was the master by all accounts a moment ago.
	if third, err := s.AwaitMaster(second); err != nil || third == second {
		t.Errorf("the master is %v (%v)", third, err)
	}
}
