package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// masterName is what the sentinels call their master.
	masterName = "mymaster"
	// sentinelQuorum is how many of the three must find the master dead.
	sentinelQuorum = 2
	// defaultDownAfter has some room for servers that wait for a processor.
	defaultDownAfter = 750 * time.Millisecond
	// failoverTimeout is when a fail-over is given up; the next try comes after
	// twice that. One that succeeded doesn't delay the next.
	failoverTimeout = 2 * time.Second
)

// sentinelPace are the intervals at which sentinels do things, in ms, which no
// configuration file can set. At Redis's own pace they hear of each other after
// two seconds and of a replica's state every ten, and turn a master that comes
// back from the dead into a replica after eight.
//
// Two limits hang on the others: a replica of which nothing was heard for five
// PING-PERIODs is not promoted, and INFO comes every 1000 ms, whatever is
// said here, while its link is down. And a sentinel that finds its own clock
// strange (TILT) does nothing for half a minute; on a busy machine a pause of
// two seconds, which is Redis's idea of strange, need not be.
var sentinelPace = []string{
	"PING-PERIOD", "500", "INFO-PERIOD", "300", "ASK-PERIOD", "100", "PUBLISH-PERIOD", "200",
	"MIN-LINK-RECONNECT-PERIOD", "1000", "SLAVE-RECONF-TIMEOUT", "2000", "TILT-TRIGGER", "60000",
}

// A SentinelConfig says how a master, its replicas and its sentinels are set up.
type SentinelConfig struct {
	// Data is who may use the master and the replicas, and is what they use
	// among themselves; the zero Credentials let everybody in.
	Data Credentials
	// Sentinels is who may ask the sentinels.
	Sentinels Credentials
	// DownAfter is how long a server may be silent (down-after-milliseconds);
	// 0 is 750 ms.
	DownAfter time.Duration
	// Args are appended to those of the master and the replicas.
	Args []string
}

// A Sentinel is a master with two replicas and the three sentinels that watch
// them. Servers are stopped, restarted, paused and resumed by their own
// methods; sentinels keep what they know over a restart, and a node that is
// restarted comes back empty and as a master, until the sentinels make it a
// replica a second or two later; see Rejoin. What is asked is asked of the servers
// that are neither stopped nor paused. The methods of all of them are called by
// one goroutine at a time, and each is bounded.
type Sentinel struct {
	// Nodes are the master and the replicas; the first was the first master.
	Nodes []*Server
	// Sentinels watch them.
	Sentinels []*Server

	nodes, sentinels *group
	args             []string // of the nodes, as long as they aren't told whom to copy
	data             Credentials
	held             bool
}

// StartRedisSentinel starts them and returns when all sentinels know all
// servers and the replicas are up to date. The caller closes them.
func StartRedisSentinel(config SentinelConfig) (*Sentinel, error) {
	if config.DownAfter == 0 {
		config.DownAfter = defaultDownAfter
	}
	args := append(config.Data.nodeArgs(), disklessSync, "no")
	k := redisKind
	k.ask = askRedisAfter(config.Data.login()...)
	s := &Sentinel{args: append(args, config.Args...), data: config.Data}
	var err error
	if s.nodes, err = startGroup(3, k, s.args, config.Data.options()); err != nil {
		return nil, err
	}
	s.Nodes = s.nodes.all
	host, port := s.Nodes[0].hostPort()
	for _, replica := range s.Nodes[1:] {
		if _, err := s.nodes.do(replica, "REPLICAOF", host, port); err != nil {
			s.Close()
			return nil, err
		}
	}
	if s.sentinels, err = startGroup(3, sentinelKind(config, s.Nodes[0]), nil, config.Sentinels.options()); err != nil {
		s.Close()
		return nil, err
	}
	s.Sentinels = s.sentinels.all
	if err := s.stagger(config.DownAfter); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.AwaitWhole(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// stagger makes one sentinel find things dead later than the two others, who
// are enough to say so. Three that find out at once each vote for themselves,
// and none is elected before twice the failoverTimeout; the late one has its
// vote still to give.
func (s *Sentinel) stagger(downAfter time.Duration) error {
	late := (downAfter * 3 / 2).Milliseconds()
	_, err := s.sentinels.do(s.Sentinels[2], "SENTINEL", "SET", masterName, "down-after-milliseconds", late)
	return err
}

// Close ends all servers.
func (s *Sentinel) Close() {
	if s.sentinels != nil {
		s.sentinels.close()
	}
	s.nodes.close()
}

// Addrs are the sentinels' addresses, host:port.
func (s *Sentinel) Addrs() []string { return s.sentinels.addrs() }

// URL is all of it as a backend URL names it, without credentials.
func (s *Sentinel) URL() string {
	return "redis+sentinel://" + strings.Join(s.Addrs(), ",") + "/0?master_name=" + masterName
}

func sentinelKind(config SentinelConfig, master *Server) kind {
	k := redisKind
	// A sentinel writes down what it learns, over what it was given.
	const file = "sentinel.conf"
	k.prepare = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(sentinelFile(config, master)), 0o600)
	}
	k.args = func(port, dir string) []string {
		return []string{filepath.Join(dir, file), "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", dir}
	}
	k.ask = askRedisAfter(append(config.Sentinels.login(), "SENTINEL DEBUG "+strings.Join(sentinelPace, " "))...)
	return k
}

func sentinelFile(config SentinelConfig, master *Server) string {
	host, port := master.hostPort()
	lines := []string{
		fmt.Sprintf("sentinel monitor %s %s %s %d", masterName, host, port, sentinelQuorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", masterName, config.DownAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", masterName, failoverTimeout.Milliseconds()),
		fmt.Sprintf("sentinel parallel-syncs %s 2", masterName),
	}
	if data := config.Data; data.Password != "" {
		lines = append(lines,
			fmt.Sprintf("sentinel auth-user %s %s", masterName, data.user()),
			fmt.Sprintf("sentinel auth-pass %s %s", masterName, strconv.Quote(data.Password)))
	}
	lines = append(lines, config.Sentinels.sentinelLines()...)
	return strings.Join(lines, "\n") + "\n"
}
