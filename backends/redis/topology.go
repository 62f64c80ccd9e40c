package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// A topology is what a client is connected to.
type topology struct {
	// Immutable.
	form    form
	nodes   *goredis.ClusterClient // where form is cluster; else nil
	refusal error                  // what every call gets from a client that can't be used

	reloaded atomic.Int64 // when the driver was last told to reload, ns since 1970
}

// reloadPause is how long no more than one reload is asked for. While the driver is
// at one, or has just done one, it would note another, but after one that failed
// it begins the next at once.
const reloadPause = 200 * time.Millisecond

// failoverAddr is what NewFailoverClient puts in its options in place of an
// address; nothing else tells such a client from that of one server.
const failoverAddr = "FailoverClient"

func topologyOf(client goredis.UniversalClient) *topology {
	switch c := client.(type) {
	case *goredis.ClusterClient:
		return &topology{form: cluster, nodes: c}
	case *goredis.Client:
		if c.Options().Addr == failoverAddr {
			return &topology{form: sentinel}
		}
	case *goredis.Ring:
		return &topology{refusal: backends.Refused(name, "a Ring moves keys to other servers by itself", errors.New("it excludes nobody"))}
	}
	return &topology{form: single}
}

// reload has the driver ask where the Cluster's slots are, in the background. By
// itself it asks when it is redirected, but not when a node is simply gone.
func (t *topology) reload(ctx context.Context) {
	if t.nodes == nil {
		return
	}
	last, now := t.reloaded.Load(), time.Now().UnixNano()
	if now-last >= int64(reloadPause) && t.reloaded.CompareAndSwap(last, now) {
		t.nodes.ReloadState(ctx)
	}
}

// replaced asks the Cluster whether a node is no longer one of its masters. Without
// an answer, and without a Cluster, the node counts as a master.
func (t *topology) replaced(ctx context.Context, addr string) bool {
	if t.nodes == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var stands atomic.Bool
	err := t.nodes.ForEachMaster(ctx, func(_ context.Context, node *goredis.Client) error {
		if node.Options().Addr == addr {
			stands.Store(true)
		}
		return nil
	})
	return err == nil && !stands.Load()
}

// nodeOf is the address of a name's master on a Cluster, "" if it is not known.
func (t *topology) nodeOf(name string) string {
	node, err := t.nodes.MasterForKey(context.Background(), name)
	if err != nil {
		return ""
	}
	return node.Options().Addr
}

// routes are the batchers of a Cluster, one for each node that has been a
// master. Commands for different nodes could travel in one pipeline, which the
// driver takes apart; but it returns when all of it is answered, and one node that is
// stopped or cut off would hold up the locks of all others. A command is
// still sent by the Cluster's client: the batcher's node is where it will go
// unless its slot has moved, and nothing depends on that.
type routes struct {
	nodes *goredis.ClusterClient
	known atomic.Bool // where the slots are: the driver need not ask before it answers

	mu     sync.RWMutex        // protects what follows
	byNode map[string]*batcher // by address; few ever, so those of lost nodes stay
	closed bool
}

func newRoutes(nodes *goredis.ClusterClient) *routes {
	return &routes{nodes: nodes, byNode: make(map[string]*batcher)}
}

// of finds the batcher of a key's node; nil if it is not known which that is.
// The first call of all asks the Cluster.
func (r *routes) of(ctx context.Context, key string) *batcher {
	node, err := r.nodes.MasterForKey(ctx, key)
	if err != nil {
		return nil
	}
	once(&r.known)
	addr := node.Options().Addr
	r.mu.RLock()
	q := r.byNode[addr]
	r.mu.RUnlock()
	if q != nil {
		return q
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q = r.byNode[addr]; q == nil && !r.closed {
		q = newBatcher(r.nodes)
		q.single = true // all keys of a script are in one slot
		r.byNode[addr] = q
	}
	return q
}

// close closes all batchers, for good.
func (r *routes) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, q := range r.batchers() { // outside the mutex: it tells askers
		q.close()
	}
}

func (r *routes) batchers() []*batcher {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Values(r.byNode))
}

// wait waits for their flushers to end.
func (r *routes) wait() {
	for _, q := range r.batchers() { // outside the mutex: a flusher's asker may start a call
		q.wait()
	}
}
