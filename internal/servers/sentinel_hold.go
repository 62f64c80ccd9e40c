package servers

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

// HoldReplication cuts the replicas off: what the master is told from now on
// reaches none of them, until the next fail-over or ReleaseReplication. The
// sentinels find nothing wrong with them.
//
// The replicas are given a password that the master refuses. A stopped process
// would not do: what the kernel has taken in for it, it reads when it goes on.
// Nor would another address: the sentinels put that right.
func (s *Sentinel) HoldReplication() error {
	if err := s.AwaitWhole(); err != nil {
		return err
	}
	master, err := s.Master()
	if err != nil {
		return err
	}
	if err := s.login(Credentials{"nobody", "refused"}); err != nil {
		return err
	}
	s.held = true
	for _, node := range s.nodes.live() {
		if node != master {
			if err := s.cut(node, master); err != nil {
				return err
			}
		}
	}
	return s.await("replicas without a link", func(ctx context.Context) error {
		for _, node := range s.nodes.live() {
			info, err := s.nodes.replication(ctx, node)
			if err != nil {
				return err
			}
			if node == master && info["connected_slaves"] != "0" || node != master && info["master_link_status"] != "down" {
				return fmt.Errorf("%s still has one", node.Addr)
			}
		}
		return nil
	})
}

// cut ends a replica's link. That of a replica which has been a master in
// between counts as never made, and not as lost: sentinels don't promote a
// replica that lost its link more than ten times DownAfter ago, and a test may
// hold replication for longer. Nobody sees it as a master.
func (s *Sentinel) cut(replica, master *Server) error {
	host, port := master.hostPort()
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	_, err := s.nodes.clients[replica].TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		tx.SlaveOf(ctx, "NO", "ONE")
		tx.SlaveOf(ctx, host, port)
		return nil
	})
	if err != nil {
		return fmt.Errorf("servers: sentinel: %s: %w\n%s", replica.Addr, err, replica.tail())
	}
	return nil
}

// ReleaseReplication lets the replicas catch up with the master, if there is
// one: see AwaitWhole.
func (s *Sentinel) ReleaseReplication() error {
	if err := s.login(s.data); err != nil {
		return err
	}
	s.held = false
	return nil
}

// login sets what live nodes show to a master. A link that is up doesn't notice.
func (s *Sentinel) login(as Credentials) error {
	for _, node := range s.nodes.live() {
		if _, err := s.nodes.do(node, "CONFIG", "SET", "masteruser", as.Username, "masterauth", as.Password); err != nil {
			return err
		}
	}
	return nil
}

// Lag is how many bytes of what the master has for its replicas the best of
// them lacks. Not all of them are a test's own: sentinels write through the
// master, too.
func (s *Sentinel) Lag() (int64, error) {
	master, err := s.Master()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	if !master.live() {
		return 0, fmt.Errorf("servers: sentinel: the master, %s, is down", master.Addr)
	}
	var written, most int64
	for _, node := range s.nodes.live() {
		info, err := s.nodes.replication(ctx, node)
		if err != nil {
			return 0, fmt.Errorf("servers: sentinel: %w", err)
		}
		name := "slave_repl_offset"
		if node == master {
			name = "master_repl_offset"
		}
		offset, err := strconv.ParseInt(info[name], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("servers: sentinel: %s: %s: %w", node.Addr, name, err)
		}
		if node == master {
			written = offset
		} else {
			most = max(most, offset)
		}
	}
	return written - most, nil
}

// KillMaster kills the master and says which it was. If replication is held,
// what was written since is lost with it, and the hold ends.
func (s *Sentinel) KillMaster() (*Server, error) {
	master, err := s.Master()
	if err != nil {
		return nil, err
	}
	if !s.held {
		master.Stop()
		return master, nil
	}
	if lag, err := s.Lag(); err != nil || lag <= 0 {
		return nil, errors.Join(err, fmt.Errorf("servers: sentinel: replication is held, and the replicas lag by %d bytes", lag))
	}
	master.Stop()
	return master, s.ReleaseReplication()
}

// FailOver kills the master and waits until another is promoted, which it
// returns. After HoldReplication the new one lacks what was written since.
func (s *Sentinel) FailOver() (*Server, error) {
	old, err := s.KillMaster()
	if err != nil {
		return nil, err
	}
	return s.AwaitMaster(old)
}

// Rejoin starts the nodes that are down as replicas of the present master and
// waits until all is whole, ready for the next fail-over.
func (s *Sentinel) Rejoin() error {
	master, err := s.AwaitMaster(nil)
	if err != nil {
		return err
	}
	host, port := master.hostPort()
	for _, node := range s.Nodes {
		if node.proc != nil {
			continue
		}
		// From its first breath: it would be an empty master for a moment
		// otherwise, and somebody might still have its address.
		node.args = append(append([]string(nil), s.args...), "--replicaof", host, port)
		err := node.Restart()
		node.args = s.args
		if err != nil {
			return err
		}
	}
	return s.AwaitWhole()
}
