package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// A topology is what a client is connected to. It is immutable.
type topology struct {
	form    form
	nodes   *goredis.ClusterClient // where form is cluster; else nil
	refusal error                  // what every call gets from a client that can't be used
}

// failoverAddr is what NewFailoverClient puts in its options in place of an
// address; nothing else tells such a client from that of one server.
const failoverAddr = "FailoverClient"

func topologyOf(client goredis.UniversalClient) topology {
	switch c := client.(type) {
	case *goredis.ClusterClient:
		return topology{form: cluster, nodes: c}
	case *goredis.Client:
		if c.Options().Addr == failoverAddr {
			return topology{form: sentinel}
		}
	case *goredis.Ring:
		return topology{refusal: backends.Refused(name, "a Ring moves keys to other servers by itself", driverError("it excludes nobody"))}
	}
	return topology{form: single}
}

// reload has the driver ask where the Cluster's slots are. It does so in the
// background, and at most five times a second however often it is told to. By
// itself it asks when it is redirected, but not when a node is simply gone.
func (t *topology) reload(ctx context.Context) {
	if t.nodes != nil {
		t.nodes.ReloadState(ctx)
	}
}

// routes are the batchers of a Cluster, one for each node that has been a
// master. Commands for different nodes could travel in one pipeline, which the
// driver takes apart; but it returns when all of it is answered, and one node that is
// stopped or cut off would hold up the locks of all others. A command is
// still sent by the Cluster's client: the batcher's node is where it will go
// unless its slot has moved, and nothing depends on that.
type routes struct {
	nodes *goredis.ClusterClient

	mu     sync.RWMutex // protects what follows
	byNode map[*goredis.Client]*batcher
	closed bool
}

func newRoutes(nodes *goredis.ClusterClient) *routes {
	return &routes{nodes: nodes, byNode: make(map[*goredis.Client]*batcher)}
}

// of finds the batcher of a key's node; nil if it is not known which that is.
// The first call of all asks the Cluster.
func (r *routes) of(ctx context.Context, key string) *batcher {
	node, err := r.nodes.MasterForKey(ctx, key)
	if err != nil {
		return nil
	}
	r.mu.RLock()
	q := r.byNode[node]
	r.mu.RUnlock()
	if q != nil {
		return q
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q = r.byNode[node]; q == nil && !r.closed {
		q = newBatcher(r.nodes)
		r.byNode[node] = q
	}
	return q
}

// close closes all batchers, for good.
func (r *routes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, q := range r.byNode {
		q.close()
	}
}

// wait waits for their flushers to end.
func (r *routes) wait() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, q := range r.byNode {
		q.wait()
	}
}
