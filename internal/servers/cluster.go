package servers

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	slots = 16384
	// busOffset is how far above its port a node talks to the others.
	busOffset = 10000
	// defaultNodeTimeout has some room: at a load of ten on two cores, no node
	// was taken for dead in 90 s at 300 ms either. A dead master is replaced two
	// to three seconds after its death.
	defaultNodeTimeout = time.Second
)

// A ClusterConfig says what a Redis Cluster is made of.
type ClusterConfig struct {
	// Masters share the slots evenly. It takes three of them to agree that one
	// has failed.
	Masters int
	// Replicas is how many each master has.
	Replicas int
	// NodeTimeout is how long a node may be silent (cluster-node-timeout, in
	// whole milliseconds); 0 is one second.
	NodeTimeout time.Duration
	// Credentials are what nodes want from clients and from each other.
	Credentials Credentials
	// Args are appended to those of every node.
	Args []string
}

// A Cluster is a running Redis Cluster. Its nodes are stopped, restarted,
// paused and resumed by their own methods; a restarted one comes back empty,
// and as what it was: nodes.conf stays. What is asked of the cluster is asked
// of the nodes that are neither stopped nor paused. The methods of a cluster
// and of its nodes are called by one goroutine at a time, and each is bounded.
type Cluster struct {
	// Nodes are the masters first, as they were at the start.
	Nodes []*Server

	*group
	nodeTimeout time.Duration
	credentials Credentials
	ids         map[*Server]string    // the names by which nodes know each other
	replaced    map[*Server]time.Time // when a master gave its place up by hand
	elected     map[*Server]time.Time // when a master was first seen as one; zero for those of the start
}

// StartRedisCluster starts such a cluster and returns when every node sees it
// whole. The caller closes it.
//
// It takes a little more than two seconds: a master holds back that long after
// its start, lest it be the old one of a slot (CLUSTER_WRITABLE_DELAY).
func StartRedisCluster(config ClusterConfig) (*Cluster, error) {
	if config.NodeTimeout == 0 {
		config.NodeTimeout = defaultNodeTimeout
	}
	args := []string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
		"--cluster-node-timeout", strconv.FormatInt(config.NodeTimeout.Milliseconds(), 10),
		disklessSync, "no",
	}
	k := redisKind
	k.bus = busOffset
	k.ask = askRedisAfter(config.Credentials.login()...)
	args = append(append(args, config.Credentials.nodeArgs()...), config.Args...)
	g, err := startGroup(config.Masters*(1+config.Replicas), k, args, config.Credentials.options())
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Nodes: g.all, group: g, nodeTimeout: config.NodeTimeout, credentials: config.Credentials,
		ids: make(map[*Server]string), replaced: make(map[*Server]time.Time),
		elected: make(map[*Server]time.Time),
	}
	if err := c.join(config.Masters); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends all nodes.
func (c *Cluster) Close() { c.close() }

// Addrs are the nodes' addresses, host:port.
func (c *Cluster) Addrs() []string { return c.addrs() }

// URL is the cluster as a backend URL names it, without credentials.
func (c *Cluster) URL() string {
	// go-redis's form of it: one host in its place, the others as parameters.
	url := url.URL{Scheme: "redis+cluster", Host: c.Addrs()[0], RawQuery: "addr=" + strings.Join(c.Addrs()[1:], "&addr=")}
	return url.String()
}

// join makes a cluster of nodes that don't know each other yet.
func (c *Cluster) join(masters int) error {
	for i, node := range c.Nodes {
		id, err := c.do(node, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		c.ids[node] = id.Val().(string)
		// Masters of one and the same epoch would have to sort that out first.
		if _, err := c.do(node, "CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return err
		}
		if i < masters {
			c.elected[node] = time.Time{}
			if _, err := c.do(node, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1); err != nil {
				return err
			}
		}
		// Everybody is introduced to everybody. That one has heard of another
		// by way of a third is a matter of seconds otherwise.
		for _, earlier := range c.Nodes[:i] {
			host, port := earlier.hostPort()
			if _, err := c.do(node, "CLUSTER", "MEET", host, port); err != nil {
				return err
			}
		}
	}
	for i, node := range c.Nodes[masters:] {
		master := c.ids[c.Nodes[i%masters]]
		// Refused until they have met.
		err := c.await("a replica joins its master", func(ctx context.Context) error {
			return c.clients[node].ClusterReplicate(ctx, master).Err()
		})
		if err != nil {
			return err
		}
	}
	return c.AwaitWhole()
}
