package servers

import (
	"context"
	"fmt"
	"slices"
)

// moveBatch is how many keys one MIGRATE takes; the node does nothing else
// meanwhile.
const moveBatch = 100

// A Move is a slot on its way from one master to another. Until Finish, the
// old master serves the keys that it still has and sends clients to the new
// one for the others (ASK); a command on several keys of which only some have
// moved is refused (TRYAGAIN).
type Move struct {
	c        *Cluster
	slot     int
	from, to *Server
}

// BeginMove opens the way for a slot, from its master to another; no key moves yet.
func (c *Cluster) BeginMove(slot int, to *Server) (*Move, error) {
	from, err := c.AwaitMaster(slot)
	if err != nil {
		return nil, err
	}
	if from == to {
		return nil, fmt.Errorf("servers: cluster: slot %d is on %s already", slot, to.Addr)
	}
	// In this order: the new master has to know before the old one sends
	// anybody there.
	if _, err := c.do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from]); err != nil {
		return nil, err
	}
	if _, err := c.do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to]); err != nil {
		return nil, err
	}
	return &Move{c: c, slot: slot, from: from, to: to}, nil
}

// MigrateKey moves one key, if the old master has it.
func (m *Move) MigrateKey(key string) error { return m.migrate([]string{key}) }

// MigrateKeys moves all the keys that the old master still has. It comes to an
// end under load, too: new keys are made on the new master.
func (m *Move) MigrateKeys() error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
		keys, err := m.c.clients[m.from].ClusterGetKeysInSlot(ctx, m.slot, moveBatch).Result()
		cancel()
		if err != nil {
			return fmt.Errorf("servers: keys of slot %d: %w\n%s", m.slot, err, m.from.tail())
		}
		if len(keys) == 0 {
			return nil
		}
		if err := m.migrate(keys); err != nil {
			return err
		}
	}
}

func (m *Move) migrate(keys []string) error {
	host, port := m.to.hostPort()
	command := []any{"MIGRATE", host, port, "", 0, answerLimit.Milliseconds()}
	if login := m.c.credentials; login.Password != "" {
		command = append(command, "AUTH2", login.user(), login.Password)
	}
	command = append(command, "KEYS")
	for _, key := range keys {
		command = append(command, key)
	}
	_, err := m.c.do(m.from, command...)
	return err
}

// Finish gives the slot to the new master and waits until all live nodes agree.
// It refuses while the old one still has keys of it: they would be deleted.
func (m *Move) Finish() error {
	left, err := m.c.do(m.from, "CLUSTER", "COUNTKEYSINSLOT", m.slot)
	if err != nil {
		return err
	}
	if left.Val() != int64(0) {
		return fmt.Errorf("servers: %d keys of slot %d are still on %s", left.Val(), m.slot, m.from.Addr)
	}
	// The new master first: it takes a new epoch, which makes its claim the
	// stronger one should the old one die before it has heard of it. The others
	// would hear of it in time; being told, they don't send clients astray.
	tell := []*Server{m.to, m.from}
	for _, node := range m.c.live() {
		if !slices.Contains(tell, node) {
			tell = append(tell, node)
		}
	}
	for _, node := range tell {
		role, err := m.c.do(node, "ROLE")
		if err != nil {
			return err
		}
		if role.Val().([]any)[0] != "master" {
			continue // only masters take it
		}
		if _, err := m.c.do(node, "CLUSTER", "SETSLOT", m.slot, "NODE", m.c.ids[m.to]); err != nil {
			return err
		}
	}
	return m.c.await(fmt.Sprintf("slot %d is on %s", m.slot, m.to.Addr), func(ctx context.Context) error {
		peers, err := m.c.agreed(ctx)
		if err != nil {
			return err
		}
		for _, p := range peers {
			if p.owns(m.slot) && p.addr != m.to.Addr {
				return fmt.Errorf("it is on %s", p.addr)
			}
		}
		return nil
	})
}

// MoveSlot moves a slot with all its keys to another master.
func (c *Cluster) MoveSlot(slot int, to *Server) error {
	m, err := c.BeginMove(slot, to)
	if err != nil {
		return err
	}
	if err := m.MigrateKeys(); err != nil {
		return err
	}
	return m.Finish()
}
