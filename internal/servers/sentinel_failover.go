package servers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// Master is the master by the word of the first live sentinel. For a while that
// is the old one after a crash; see AwaitMaster.
func (s *Sentinel) Master() (*Server, error) {
	live := s.sentinels.live()
	if len(live) == 0 {
		return nil, errors.New("servers: sentinel: all sentinels are down")
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	master, err := s.masterBy(ctx, live[0])
	if err != nil {
		return nil, fmt.Errorf("servers: sentinel: %w\n%s", err, live[0].tail())
	}
	return master, nil
}

// masterBy is the master by the word of one sentinel.
func (s *Sentinel) masterBy(ctx context.Context, sentinel *Server) (*Server, error) {
	cmd := goredis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
	if err := s.sentinels.clients[sentinel].Process(ctx, cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", sentinel.Addr, err)
	}
	addr := strings.Join(cmd.Val(), ":")
	master := s.nodes.at(addr)
	if master == nil {
		return nil, fmt.Errorf("%s: the master is %s, which is none of ours", sentinel.Addr, addr)
	}
	return master, nil
}

// agreed is the master by the word of all live sentinels, if it lives and says
// so itself.
func (s *Sentinel) agreed(ctx context.Context) (*Server, error) {
	var agreed *Server
	for _, sentinel := range s.sentinels.live() {
		master, err := s.masterBy(ctx, sentinel)
		switch {
		case err != nil:
			return nil, err
		case agreed != nil && master != agreed:
			return nil, fmt.Errorf("the sentinels disagree: %s, %s", agreed.Addr, master.Addr)
		}
		agreed = master
	}
	if agreed == nil {
		return nil, errors.New("all sentinels are down")
	}
	if !agreed.live() {
		return nil, fmt.Errorf("the master is still %s, which is down", agreed.Addr)
	}
	info, err := s.nodes.replication(ctx, agreed)
	if err != nil {
		return nil, err
	}
	if info["role"] != "master" {
		return nil, fmt.Errorf("%s is a %s", agreed.Addr, info["role"])
	}
	return agreed, nil
}

// AwaitMaster waits until all live sentinels name one and the same live node,
// which is the master by its own word, too, and not the one given; that may be
// nil.
func (s *Sentinel) AwaitMaster(not *Server) (*Server, error) {
	var master *Server
	err := s.await("a new master", func(ctx context.Context) (err error) {
		if master, err = s.agreed(ctx); err == nil && master == not {
			err = fmt.Errorf("the master is still %s", master.Addr)
		}
		return err
	})
	return master, err
}

// await is a wait whose error has the sentinels' output besides the nodes'.
func (s *Sentinel) await(what string, look func(ctx context.Context) error) error {
	err := s.nodes.await(what, look)
	if err != nil {
		return fmt.Errorf("%w%s", err, s.sentinels.tails())
	}
	return nil
}

// AwaitWhole waits until there is a master by all accounts, all other live
// nodes are linked to it as its replicas, and every live sentinel finds them
// fit to be promoted.
func (s *Sentinel) AwaitWhole() error {
	return s.await("a master with its replicas", func(ctx context.Context) error {
		master, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		var replicas []*Server
		for _, node := range s.nodes.live() {
			if node != master {
				replicas = append(replicas, node)
			}
		}
		for _, replica := range replicas {
			info, err := s.nodes.replication(ctx, replica)
			if err != nil {
				return err
			}
			if of := info["master_host"] + ":" + info["master_port"]; of != master.Addr || info["master_link_status"] != "up" {
				return fmt.Errorf("%s copies %q, link %q", replica.Addr, of, info["master_link_status"])
			}
		}
		for _, sentinel := range s.sentinels.live() {
			if err := s.content(ctx, sentinel, replicas); err != nil {
				return err
			}
		}
		return nil
	})
}

// content says what a sentinel finds amiss with the master or the replicas.
func (s *Sentinel) content(ctx context.Context, sentinel *Server, replicas []*Server) error {
	client := s.sentinels.clients[sentinel]
	master := goredis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", masterName)
	known := goredis.NewMapStringStringSliceCmd(ctx, "SENTINEL", "REPLICAS", masterName)
	if err := errors.Join(client.Process(ctx, master), client.Process(ctx, known)); err != nil {
		return fmt.Errorf("%s: %w", sentinel.Addr, err)
	}
	// Whatever else a flag says, it is no state to begin something in.
	if flags := master.Val()["flags"]; flags != "master" {
		return fmt.Errorf("%s: the master is %q", sentinel.Addr, flags)
	}
	if others := master.Val()["num-other-sentinels"]; others != strconv.Itoa(len(s.Sentinels)-1) {
		return fmt.Errorf("%s: it knows %s other sentinels", sentinel.Addr, others)
	}
	fit := make(map[string]bool)
	for _, replica := range known.Val() {
		fit[replica["ip"]+":"+replica["port"]] = replica["flags"] == "slave" && replica["master-link-status"] == "ok"
	}
	for _, replica := range replicas {
		if !fit[replica.Addr] {
			return fmt.Errorf("%s: it doesn't find the replica %s fit", sentinel.Addr, replica.Addr)
		}
	}
	return nil
}
