package servers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failoverAgain is when a manual fail-over that has not come about is asked
// for again: a little more than the five seconds after which the replica gives
// it up.
const failoverAgain = 5500 * time.Millisecond

// A peer is a node as another node, or itself, sees it: one line of CLUSTER NODES.
type peer struct {
	id, addr string
	flags    []string
	master   string // the id of the node that it copies; "-" for a master
	linked   bool
	slots    []string // "7" or "0-5460", and no slot in migration
}

// peers is what one node makes of the cluster.
func (c *Cluster) peers(ctx context.Context, node *Server) ([]peer, error) {
	text, err := c.clients[node].ClusterNodes(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node.Addr, err)
	}
	var all []peer
	for line := range strings.Lines(text) {
		// id addr@bus flags master ping-sent pong-received epoch link slots…
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("%s: unreadable %q", node.Addr, line)
		}
		addr, _, _ := strings.Cut(f[1], "@")
		p := peer{id: f[0], addr: addr, flags: strings.Split(f[2], ","), master: f[3], linked: f[7] == "connected"}
		for _, s := range f[8:] {
			if !strings.HasPrefix(s, "[") { // a slot on the move
				p.slots = append(p.slots, s)
			}
		}
		all = append(all, p)
	}
	return all, nil
}

func (p peer) is(flag string) bool { return slices.Contains(p.flags, flag) }

func (p peer) owns(slot int) bool {
	return slices.ContainsFunc(p.slots, func(s string) bool {
		from, to, several := strings.Cut(s, "-")
		if !several {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		return err1 == nil && err2 == nil && low <= slot && slot <= high
	})
}

// one is what the first live node makes of the cluster.
func (c *Cluster) one() ([]peer, error) {
	live := c.live()
	if len(live) == 0 {
		return nil, errors.New("servers: cluster: all nodes are down")
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	peers, err := c.peers(ctx, live[0])
	if err != nil {
		return nil, fmt.Errorf("servers: cluster: %w\n%s", err, live[0].tail())
	}
	return peers, nil
}

// Master is the master of a slot by the word of one live node. For a while
// that is the old one after a crash or a change; see AwaitMaster.
func (c *Cluster) Master(slot int) (*Server, error) {
	peers, err := c.one()
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.owns(slot) {
			return c.at(p.addr), nil
		}
	}
	return nil, fmt.Errorf("servers: cluster: slot %d is nobody's", slot)
}

// Replica is a live replica of a master, by the word of one live node.
func (c *Cluster) Replica(of *Server) (*Server, error) {
	peers, err := c.one()
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		if s := c.at(p.addr); p.master == c.ids[of] && s.live() {
			return s, nil
		}
	}
	return nil, fmt.Errorf("servers: cluster: %s has no live replica", of.Addr)
}

// AwaitMaster waits until all live nodes say that the cluster is in order and
// that one and the same live node is the master of the slot.
func (c *Cluster) AwaitMaster(slot int) (*Server, error) {
	var master *Server
	err := c.await(fmt.Sprintf("a master of slot %d", slot), func(ctx context.Context) error {
		peers, err := c.agreed(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(peers, func(p peer) bool { return p.owns(slot) })
		if i < 0 {
			return errors.New("the slot is nobody's")
		}
		master = c.at(peers[i].addr)
		return nil
	})
	return master, err
}

// AwaitWhole waits until all live nodes say that the cluster is in order, agree
// on everybody's part in it, and all live replicas are linked to their masters.
func (c *Cluster) AwaitWhole() error {
	return c.await("a whole cluster", func(ctx context.Context) error {
		peers, err := c.agreed(ctx)
		if err != nil {
			return err
		}
		for _, p := range peers {
			s := c.at(p.addr)
			if !s.live() || p.is("master") {
				continue
			}
			info, err := c.replication(ctx, s)
			if err != nil {
				return err
			}
			if link := info["master_link_status"]; link != "up" {
				return fmt.Errorf("%s: the link to its master is %q", s.Addr, link)
			}
		}
		return nil
	})
}

// Failover makes a replica the master in its master's place, which goes on as
// its replica, and waits until all live nodes agree on that. No write is lost.
// It takes half a second, and four when the same two have just changed places:
// Redis doesn't let a node stand for election more often.
func (c *Cluster) Failover(replica *Server) error {
	var asked time.Time
	var master *Server
	err := c.await("fail-over to "+replica.Addr, func(ctx context.Context) error {
		info, err := c.replication(ctx, replica)
		if err != nil {
			return err
		}
		if info["role"] == "master" {
			_, err = c.agreed(ctx)
			return err
		}
		master = c.at(info["master_host"] + ":" + info["master_port"])
		// Within two node timeouts nobody votes a second time for a replica of
		// the same master; asked too early, the replica loses six seconds by it.
		if time.Since(c.replaced[master]) < 2*c.nodeTimeout {
			return fmt.Errorf("%s has just been replaced before", master.Addr)
		}
		if time.Since(asked) > failoverAgain {
			asked = time.Now()
			if err := c.clients[replica].ClusterFailover(ctx).Err(); err != nil {
				return err
			}
		}
		return errors.New("it is still a replica")
	})
	if err == nil && master != nil {
		c.replaced[master] = time.Now()
	}
	return err
}

// agreed is what all live nodes say of the cluster, if they say the same: it
// is in order, they hear each other, and no slot is left to a dead node.
func (c *Cluster) agreed(ctx context.Context) ([]peer, error) {
	var agreed []peer
	var shape string
	for _, node := range c.live() {
		info, err := c.clients[node].ClusterInfo(ctx).Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", node.Addr, err)
		}
		if !strings.Contains(info, "cluster_state:ok") {
			return nil, fmt.Errorf("%s: the cluster's state isn't ok", node.Addr)
		}
		peers, err := c.peers(ctx, node)
		if err != nil {
			return nil, err
		}
		seen, err := c.shape(peers)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", node.Addr, err)
		case agreed == nil:
			agreed, shape = peers, seen
		case seen != shape:
			return nil, fmt.Errorf("the nodes disagree:\n%s%s says:\n%s", shape, node.Addr, seen)
		}
	}
	if agreed == nil {
		return nil, errors.New("all nodes are down")
	}
	return agreed, c.electable(agreed)
}

// electable fails while a replica counts the votes of an election that it won before.
// Redis 7.0 forgets those after two node timeouts, and two seconds at least: a replica
// whose master dies within them takes its place without asking, in the old epoch. The
// others don't take its word for it, and the slots are nobody's for ever.
func (c *Cluster) electable(peers []peer) error {
	for _, p := range peers {
		node := c.at(p.addr)
		won, found := c.elected[node]
		switch {
		case !node.live():
		case p.is("master"):
			if !found {
				c.elected[node] = time.Now()
			}
		case time.Since(won) < max(2*c.nodeTimeout, 2*time.Second):
			return fmt.Errorf("%s has just won an election", p.addr)
		default:
			delete(c.elected, node)
		}
	}
	return nil
}

// shape writes down who copies whom and who has which slots, the same for all
// nodes that think the same.
func (c *Cluster) shape(peers []peer) (string, error) {
	var lines []string
	for _, p := range peers {
		s := c.at(p.addr)
		switch {
		case s == nil || p.is("handshake"):
			return "", fmt.Errorf("it hasn't met %s", p.id)
		case !s.live():
			// When its death is noticed is not of interest, but that it is
			// nobody's master any more.
			if len(p.slots) > 0 {
				return "", fmt.Errorf("%s is down and has slots", p.addr)
			}
			continue
		case !p.linked || p.is("fail") || p.is("fail?"):
			return "", fmt.Errorf("it doesn't hear %s", p.addr)
		}
		lines = append(lines, fmt.Sprintln(p.id, p.addr, p.master, p.slots))
	}
	if len(peers) != len(c.Nodes) {
		return "", fmt.Errorf("it knows %d of %d nodes", len(peers), len(c.Nodes))
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}
