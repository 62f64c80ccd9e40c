//go:build unix

package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/lockclient"
)

// clusterLoad is two clients that fight for one key, and for a few on each
// node.
type clusterLoad struct {
	*crowd
	place   *place
	clients []*lockclient.Client
	others  map[*servers.Server][]string
	reigns  map[*servers.Server]string // of the masters, from before the load
	begun   int64
	rate    float64 // the hot key's
}

func newClusterLoad(t *testing.T, p *place, hot string, expires time.Duration) *clusterLoad {
	t.Helper()
	l := &clusterLoad{crowd: gather(t, hot, expires), place: p, others: make(map[*servers.Server][]string), reigns: make(map[*servers.Server]string)}
	for _, node := range p.masters() {
		l.reigns[node] = p.reign(node)
	}
	return l
}

func loadCluster(t *testing.T, p *place, hot string, expires time.Duration) *clusterLoad {
	t.Helper()
	l := newClusterLoad(t, p, hot, expires)
	for node := range l.reigns {
		for range 3 {
			l.others[node] = append(l.others[node], p.keyAt(node, "other"))
		}
	}
	for process := range 2 {
		client := open(t, p.URL(""), fmt.Sprint("client ", process))
		l.clients = append(l.clients, client)
		for range 4 {
			l.join(process, client, task{key: l.hot, section: time.Millisecond})
		}
		for _, keys := range l.others {
			for _, key := range keys {
				l.join(process, client, task{key: key, section: time.Millisecond, pause: 5 * time.Millisecond})
			}
		}
	}
	eventually(t, 10*time.Second, "the load runs", func() bool { return l.granted.Load() > 100 })
	l.begun = stamp()
	l.rate = l.pulse(500 * time.Millisecond)
	return l
}

// claimed returns the claims of a key that a node had when the load began. The node
// may have been replaced, perhaps only because it waited too long for a processor.
// Then the new one may have missed some holds, and the old one may have granted
// others until it learned of its end: these may overlap the next.
func (l *clusterLoad) claimed(key string, node *servers.Server) []entry {
	l.t.Helper()
	if l.kept(key, node) {
		return l.of(key, nil)
	}
	l.t.Logf("the node of %s was replaced", key)
	return l.of(key, func(_, _ entry) bool { return true })
}

// kept reports whether a key is a node's, and the node has been a master since before
// the load. A node can be replaced, and then take its place back: who has the key says
// nothing about that. Nor does who had it once the load ran.
func (l *clusterLoad) kept(key string, node *servers.Server) bool {
	l.t.Helper()
	now, err := l.place.settled(key)
	if err != nil {
		l.t.Fatal(err)
	}
	return now == node && l.place.reign(node) == l.reigns[node]
}

// reign names the time since which a node has been a master without a break.
func (p *place) reign(node *servers.Server) string {
	p.t.Helper()
	const field = "master_replid"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	info, err := p.clients[node].InfoMap(ctx, "replication").Result()
	if err != nil || info["Replication"][field] == "" {
		p.t.Fatalf("%s of %s: %v", field, node.Addr, err)
	}
	return info["Replication"][field]
}
