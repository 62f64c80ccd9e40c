package strategies

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/turnstile-go/turnstile/backends/file" // opened by URL
	_ "github.com/turnstile-go/turnstile/backends/memcache"
	_ "github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// linger is Config.Linger of the variants that have it.
	linger = time.Second
	// patience is how long ours waits at most, so that ctx alone ends a wait.
	patience = 24 * time.Hour
	// owner is the label of our leases. Its length is part of what a server reads.
	owner = "bench"
)

var (
	_ bench.Strategy = turnstile{}
	_ bench.Leased   = turnstile{}
	_ bench.Scripted = turnstile{}
	_ Pooled         = turnstile{}
)

// innerOurs are the commands of our scripts. PUBLISH is one of them, and is left
// out: sessions send it by themselves as well.
var innerOurs = strings.Fields(`time get mget set del exists pttl pexpire hget hmget hset hdel hlen hgetall
	zadd zrem zscore zrank zrange zcount`)

// Pooled is a Strategy whose driver's connections can be bounded. How many there are
// can decide a comparison, so that it is to be the same for all.
type Pooled interface {
	// WithPool returns the strategy with at most n connections a process; 0 leaves
	// it as it is.
	WithPool(n int) bench.Strategy
}

// A turnstile is ours, over one backend and with one set of settings.
type turnstile struct {
	name     string
	place    string
	unsafe   bool
	kinds    []string
	expires  time.Duration
	settings string // beside those that all have
	config   func(*lockclient.Config)
	backend  func(bench.Place) url.URL
}

// ours are the variants over each backend that excludes, and open://.
func ours() []turnstile {
	var list []turnstile
	together := []string{bench.KindShared, bench.KindSlots}
	for _, b := range []struct {
		name, place string
		// lingers is what the backend makes of Linger 1s.
		lingers string
		kinds   []string // of hold that the backend keeps, beside exclusive ones
		url     func(bench.Place) url.URL
	}{
		// The run's name keeps one run's keys from the next one's in this process.
		{"embedded", bench.PlaceEmbedded, "Linger 1s, from the first hold on", together, func(at bench.Place) url.URL {
			return url.URL{Scheme: "embedded", Path: "/" + at.Run}
		}},
		// A directory below the run's: the backend makes it, with the mode it wants.
		{"file", bench.PlaceFile, "Linger 1s, of which this backend keeps a Tenure, 20ms", together, func(at bench.Place) url.URL {
			return url.URL{Scheme: "file", Path: path.Join(filepath.ToSlash(at.Dir), "locks")}
		}},
		{"redis", bench.PlaceRedis, "Linger 1s", together, func(at bench.Place) url.URL {
			return url.URL{Scheme: "redis", Host: at.Addr}
		}},
		{"memcached", bench.PlaceMemcached, "Linger 1s, of which this backend keeps a Tenure, 20ms", nil, func(at bench.Place) url.URL {
			return url.URL{Scheme: "memcache", Host: at.Addr}
		}},
	} {
		plain := turnstile{name: "turnstile-" + b.name, place: b.place, kinds: b.kinds, expires: expires, backend: b.url}
		list = append(list, plain,
			plain.with("-nohandoff", "NoHandoff", func(c *lockclient.Config) { c.NoHandoff = true }),
			plain.with("-linger", b.lingers, func(c *lockclient.Config) { c.Linger = linger }))
	}
	return append(list, turnstile{
		name: "turnstile-open", place: bench.PlaceProcess, unsafe: true, expires: expires,
		settings: "open:// never excludes",
		backend:  func(bench.Place) url.URL { return url.URL{Scheme: "open", Host: "bench"} },
	})
}

// with is a variant: the name, what its reader is told, and what it sets.
func (t turnstile) with(suffix, settings string, config func(*lockclient.Config)) turnstile {
	t.name += suffix
	t.settings, t.config = settings, config
	return t
}

func (t turnstile) Name() string { return t.name }

func (t turnstile) Describe() bench.Description {
	settings := fmt.Sprintf("lockclient.Open, Expires %v, Timeout %v, Owner %q, MaxWaiters %d, otherwise its defaults",
		t.expires, patience, owner, lockclient.MaxMaxWaiters)
	if t.settings != "" {
		settings = t.settings + "; " + settings
	}
	return bench.Description{Settings: settings, Place: t.place, Kinds: t.kinds, Unsafe: t.unsafe}
}

// WithExpires is for holders that are killed: their lease ends by itself.
func (t turnstile) WithExpires(d time.Duration) bench.Strategy {
	t.expires = d
	return t
}

// WithPool is heeded on Redis alone: no other place has a pool.
func (t turnstile) WithPool(n int) bench.Strategy {
	if t.place != bench.PlaceRedis || n == 0 {
		return t
	}
	t.settings = strings.TrimPrefix(fmt.Sprintf("%s; pool_size=%d", t.settings, n), "; ")
	open := t.backend
	t.backend = func(at bench.Place) url.URL {
		u := open(at)
		u.RawQuery = url.Values{"pool_size": {strconv.Itoa(n)}}.Encode()
		return u
	}
	return t
}

// Inner is asked for Redis alone; on memcached every command travels.
func (t turnstile) Inner() []string {
	if t.place != bench.PlaceRedis {
		return nil
	}
	return innerOurs
}

// Open lets lockclient open its own driver: what tunes it is part of what is
// measured. It takes no context, and waits for a server for 2 s at most.
func (t turnstile) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u := t.backend(at)
	cfg := lockclient.Config{
		Backend: u.String(), Expires: t.expires, Timeout: patience, Owner: owner,
		// The bench may well have more goroutines on a key than anybody else.
		MaxWaiters: lockclient.MaxMaxWaiters,
	}
	if t.config != nil {
		t.config(&cfg)
	}
	client, err := lockclient.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("strategies: %s: %w", t.name, err)
	}
	return clients{client}, nil
}

// clients is a Client as the bench takes it.
type clients struct{ client *lockclient.Client }

var (
	_ bench.Sharer  = clients{}
	_ bench.Slotter = clients{}
)

func (c clients) Lock(ctx context.Context, key string) (bench.Held, error) {
	return c.acquire(ctx, key)
}

func (c clients) Share(ctx context.Context, key string) (bench.Held, error) {
	return c.acquire(ctx, key, lockclient.Shared())
}

func (c clients) Slot(ctx context.Context, key string, n int) (bench.Held, error) {
	return c.acquire(ctx, key, lockclient.Slots(n))
}

func (c clients) acquire(ctx context.Context, key string, opts ...lockclient.Option) (bench.Held, error) {
	lock, err := c.client.Acquire(ctx, key, opts...)
	if err != nil {
		return nil, err
	}
	return hold{lock}, nil
}

func (c clients) Close() error { return c.client.Close() }

// A hold is a Lock, whose Release already knows the holder and the end of it.
type hold struct{ *lockclient.Lock }

func (h hold) Unlock() error { return h.Release() }
