package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/bench/strategies"
)

// expires is how long a lock lasts in every library that lets us say so: long
// beside any pause of a loaded machine, so that no lock ends by itself.
const expires = 10 * time.Second

// A rival is another library's lock. What differs between them is data and how one
// is opened; the driver is the same for all.
type rival struct {
	name, place string
	settings    func(rival) string
	// inner are the commands that its scripts call on the server, which counts
	// them like those that travelled. A command in no strategy's scripts but
	// sent by the client counts as sent. The count of requests is never too low.
	inner   []string
	expires time.Duration
	pool    int // connections of a go-redis client; 0: the driver's default
	open    func(context.Context, rival, bench.Place) (bench.Locker, error)

	kinds         []string // of hold, beside exclusive ones
	maxContenders int      // 0: any number
}

var (
	_ bench.Leased      = rival{}
	_ bench.Scripted    = rival{}
	_ strategies.Pooled = rival{}
)

func (r rival) Name() string { return r.name }

func (r rival) Describe() bench.Description {
	return bench.Description{Settings: r.settings(r), Place: r.place, Peer: true, Kinds: r.kinds, MaxContenders: r.maxContenders}
}

func (r rival) Inner() []string { return r.inner }

func (r rival) WithExpires(d time.Duration) bench.Strategy { r.expires = d; return r }
func (r rival) WithPool(n int) bench.Strategy              { r.pool = n; return r }

func (r rival) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	l, err := r.open(ctx, r, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return l, nil
}

// An unlock is a hold of a library that knows no fence. The driver calls it once,
// outside of any ctx: a hold has to be given back after the end of a run as well.
type unlock func() error

func (u unlock) Unlock() error { return u() }
func (unlock) Fence() uint64   { return 0 }

// rivals are all that ours is compared with, in process, on Redis and on etcd.
func rivals() []bench.Strategy {
	var list []bench.Strategy
	for _, of := range [][]rival{processRivals(), redisRivals(), etcdRivals()} {
		for _, r := range of {
			list = append(list, r)
		}
	}
	return list
}

// poolEnv tells worker processes of -pool: they learn of their strategy by its name.
const poolEnv = "TURNSTILE_PEERS_POOL"

// everything is what this command can measure: ours and the seeds' loops, the
// rivals, and what is no lock but shows how far one can get.
func everything() []bench.Strategy {
	pool, _ := strconv.Atoi(os.Getenv(poolEnv)) // no number: the drivers' defaults
	var list []bench.Strategy
	for _, s := range append(strategies.All(), rivals()...) {
		if p, ok := s.(strategies.Pooled); ok {
			s = p.WithPool(pool)
		}
		list = append(list, s)
	}
	return append(list, yardsticks(pool)...)
}

// setup has etcd started here: package bench, whose programs have no use for it,
// knows nothing of it.
func setup() bench.Setup {
	return bench.Setup{Start: map[string]func(context.Context) (bench.Server, error){bench.PlaceEtcd: startEtcd}}
}
