package servers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// groupPoll is how often a group is looked at while something is awaited.
	// Each look costs a command a server, on two shared cores.
	groupPoll = 20 * time.Millisecond
	// groupLimit bounds waits that take a group a second or three: no machine is so
	// slow.
	groupLimit = time.Minute
	// answerLimit bounds one command.
	answerLimit = 2 * time.Second
	// tailKept is how much of each server's output an error carries.
	tailKept = 1 << 10
)

// disklessSync is off in every group. A master that gives its copy away without
// a file waits five seconds for more replicas to ask, and keeps back what is
// written after the copy until the replica's next word, up to a second later,
// while the replica says that its link is up: such writes die with the master.
const disklessSync = "--repl-diskless-sync"

// A group is several Redis servers of one kind that belong together, and a
// client to each.
type group struct {
	all     []*Server
	clients map[*Server]*goredis.Client
}

// startGroup starts n servers side by side. options has the name and password
// that its clients use, if any.
func startGroup(n int, k kind, args []string, options goredis.Options) (*group, error) {
	started, failures := make([]*Server, n), make([]error, n)
	var starting sync.WaitGroup
	for i := range n {
		starting.Go(func() { started[i], failures[i] = start(k, args) })
	}
	starting.Wait()
	// A command that was repeated blindly could be carried out twice; and no
	// look at a server is worth more than the wait for the next one.
	options.MaxRetries, options.DialerRetries, options.PoolSize = -1, 1, 2
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = answerLimit, answerLimit, answerLimit
	options.ContextTimeoutEnabled = true
	g := &group{clients: make(map[*Server]*goredis.Client)}
	for _, s := range started {
		if s != nil {
			g.all = append(g.all, s)
			g.clients[s] = newClient(s.Addr, &options)
		}
	}
	if err := errors.Join(failures...); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *group) close() {
	for _, s := range g.all {
		_ = g.clients[s].Close() // the server goes next
		s.Close()
	}
}

func (g *group) addrs() []string {
	var addrs []string
	for _, s := range g.all {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// hostPort is the address as Redis's commands take it.
func (s *Server) hostPort() (host, port string) {
	host, port, ok := strings.Cut(s.Addr, ":")
	if !ok {
		panic("servers: no port in " + s.Addr) // it comes from a listener
	}
	return host, port
}

// live are the servers that are neither stopped nor paused.
func (g *group) live() []*Server {
	var live []*Server
	for _, s := range g.all {
		if s.live() {
			live = append(live, s)
		}
	}
	return live
}

func (s *Server) live() bool { return s != nil && s.proc != nil && !s.paused }

// at is the server that listens on addr, nil if it is none of the group's.
func (g *group) at(addr string) *Server {
	for _, s := range g.all {
		if s.Addr == addr {
			return s
		}
	}
	return nil
}

// do has one server carry out one command.
func (g *group) do(s *Server, command ...any) (*goredis.Cmd, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	cmd := g.clients[s].Do(ctx, command...)
	if err := cmd.Err(); err != nil {
		// Of the command no more than its name: the rest may hold a password.
		return nil, fmt.Errorf("servers: %s: %v: %w\n%s", s.Addr, command[0], err, s.tail())
	}
	return cmd, nil
}

// replication is what a server says of its part in replication.
func (g *group) replication(ctx context.Context, s *Server) (map[string]string, error) {
	info, err := g.clients[s].InfoMap(ctx, "replication").Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Addr, err)
	}
	return info["Replication"], nil
}

// await looks again and again until look finds nothing amiss. The error says
// what was amiss last, and what the servers wrote.
func (g *group) await(what string, look func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	defer cancel()
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	var amiss error
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		// A look that was cut short by the limit says less than the one before.
		if amiss == nil || ctx.Err() == nil {
			amiss = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("servers: %s: not in %v: %w\n%s", what, groupLimit, amiss, g.tails())
		case <-poll.C:
		}
	}
}

func (g *group) tails() string {
	var b strings.Builder
	for _, s := range g.all {
		fmt.Fprintf(&b, "--- %s\n%s\n", s.Addr, s.tail())
	}
	return b.String()
}

func (s *Server) tail() string {
	out := s.Output()
	return out[max(0, len(out)-tailKept):]
}
