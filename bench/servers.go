package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// A Server is one that locks can live on. It is started for one run.
type Server interface {
	Addr() string
	Close() error
}

// A Setup says where locks live, by place.
type Setup struct {
	// Addrs are servers to use, HOST:PORT by PlaceRedis and so on. What else
	// happens on them is counted as the strategies'. A place that has none gets a
	// fresh server of its own for each run.
	Addrs map[string]string
	// Start starts servers of kinds that this package does not know. Redis and
	// memcached it does.
	Start map[string]func(context.Context) (Server, error)
}

// Missing says why no strategy of a place can be measured, or nil. A program is
// looked for and never installed.
func (s Setup) Missing(place string) error {
	program, known := programs[place]
	switch {
	case s.Addrs[place] != "" || s.Start[place] != nil || !served(place):
		return nil
	case !known:
		return fmt.Errorf("bench: %s: no server to use, and none that could be started", place)
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("bench: %s: no server to use, and %w", place, err)
	}
	return nil
}

var programs = map[string]string{PlaceRedis: "redis-server", PlaceMemcached: "memcached"}

// served says that a place is on a server.
func served(place string) bool {
	return place == PlaceRedis || place == PlaceMemcached || place == PlaceEtcd
}

// local says that a place is the memory of one process.
func local(place string) bool { return place == PlaceProcess || place == PlaceEmbedded }

// A site is where one run takes place, and all that has to be cleared away.
type site struct {
	place   Place
	version string // of the server
	meter   commandMeter
	delay   time.Duration // that the proxy really adds
	dir     string
	closers []func() error // run from the last to the first
}

// openSite makes a place ready for one run. run is its name, unique on this server.
func openSite(ctx context.Context, kind, run string, w Workload, setup Setup) (s *site, err error) {
	s = &site{meter: noMeter{}, place: Place{Run: run}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	if s.dir, err = os.MkdirTemp("", "turnstile-bench-"); err != nil {
		return s, fmt.Errorf("bench: %w", err)
	}
	s.defers(func() error { return os.RemoveAll(s.dir) })
	s.place.Dir = filepath.Join(s.dir, "locks")
	if err = os.Mkdir(s.place.Dir, 0o700); err != nil {
		return s, fmt.Errorf("bench: %w", err)
	}
	if !served(kind) {
		return s, nil
	}
	if s.place.Addr = setup.Addrs[kind]; s.place.Addr == "" {
		if err = s.serve(ctx, kind, setup); err != nil {
			return s, err
		}
	}
	if s.meter, err = newMeter(ctx, kind, s.place.Addr); err != nil {
		return s, err
	}
	s.defers(s.meter.close)
	s.version = s.meter.version()
	if w.RoundTrip > 0 {
		err = s.delayed(kind, w.RoundTrip)
	}
	return s, err
}

// serve starts the place's server.
func (s *site) serve(ctx context.Context, kind string, setup Setup) error {
	if start := setup.Start[kind]; start != nil {
		server, err := start(ctx)
		if err != nil {
			return fmt.Errorf("bench: %s: %w", kind, err)
		}
		s.place.Addr = server.Addr()
		s.defers(server.Close)
		return nil
	}
	if err := setup.Missing(kind); err != nil {
		return err
	}
	start := servers.StartRedis
	if kind == PlaceMemcached {
		start = func(...string) (*servers.Server, error) {
			return servers.StartMemcached("-c", strconv.Itoa(memcachedConns()))
		}
	}
	server, err := start()
	if err != nil {
		return err
	}
	s.place.Addr = server.Addr
	s.defers(func() error { server.Close(); return nil })
	return nil
}

// memcachedConns is how many connections a memcached may have. A contender has one
// each where the driver has no bound, and an experiment goes to 10 000 of them; but a
// memcached that is allowed more than the system lets it open does not start.
func memcachedConns() int {
	const wanted, others = 11_000, 500 // beside its clients it has files of its own
	return min(wanted, max(maxOpenFiles()-others, 1024))
}

func (s *site) defers(f func() error) { s.closers = append(s.closers, f) }

func (s *site) close() error {
	var err error
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	s.closers = nil
	return err
}

// A namer gives runs their names, which begin their keys' as well: on a server
// that many runs use, no run meets what another left.
type namer struct {
	prefix string
	n      atomic.Uint64
}

func newNamer() *namer {
	return &namer{prefix: strconv.FormatInt(time.Now().UnixMilli(), 36)}
}

func (n *namer) next() string { return n.prefix + strconv.FormatUint(n.n.Add(1), 36) }
