package lockclient

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
)

// The limits of what a caller may ask for. A breach is ErrInvalid before any
// backend call.
const (
	MaxKey         = 512 // bytes, from 1; any but NUL
	MinExpires     = 10 * time.Millisecond
	MaxExpires     = 24 * time.Hour
	MaxMaxWaiters  = 1_000_000
	DefaultExpires = 10 * time.Second
	DefaultTimeout = 60 * time.Second
	// DefaultKeyPrefix is pylock's.
	DefaultKeyPrefix = "pylock:"
	// NoPrefix as Config.KeyPrefix uses keys as the caller gives them.
	NoPrefix = "\x00none"
	// NoLinger as Config.Linger keeps no lease after its last hold.
	NoLinger = actors.NoLinger

	defaultBackend = "embedded://"
)

// Config says how a client works. The zero value is ready to use: it locks
// within the process.
type Config struct {
	// Backend is the URL of the place where leases live: embedded://NAME (the
	// default is embedded://), file:///DIR, open://, redis://HOST:PORT/DB, or, for
	// Redis in its other forms, unix:///SOCKET, redis+sentinel://HOST:PORT,…?master_name=NAME
	// and redis+cluster://HOST:PORT,…; rediss in place of redis is by TLS. The
	// parameters are listed at redis.Open in package backends/redis; with
	// ?lazy=true, Open does not ask for the server to be there. memcached is
	// memcache://HOST:PORT[,HOST:PORT…]; see package backends/memcache first. All
	// but embedded:// and open:// need an import of their package: see Open.
	Backend string
	// TLS is how a rediss:// server is talked to, in place of the URL's tls_…
	// parameters: with another backend, or beside these, it is ErrInvalid.
	TLS *tls.Config
	// Expires is how long a hold is valid unless renewed: 10 ms (memcached: 1 s) to
	// 24 h, default 10 s.
	Expires time.Duration
	// Timeout is how long an acquire waits. Default: 60 s where its ctx has no
	// deadline, and as long as ctx where it has one. Forever is no bound. For one try
	// without waiting use TryAcquire, or the option Timeout(0).
	Timeout time.Duration
	// Renew keeps every hold until it is released, unless its acquire has the option
	// NoRenew. Default: a hold ends after its Expires, but for those of Do.
	Renew bool
	// KeyPrefix is put before every key in the backend: default "pylock:",
	// NoPrefix for none. At most 256 bytes, any but NUL.
	KeyPrefix string
	// Owner is the label that others see as the holder's name: default host:pid.
	// It is no secret and proves nothing. At most 256 bytes. The option Owner names one
	// hold's.
	Owner string

	// Tenure is how long the process may go on handing a key from goroutine to
	// goroutine while another process waits for it: default 20 ms. 1023 handoffs
	// end it as well, if they come first.
	Tenure time.Duration
	// Linger keeps a lease this long after the last local hold, so that a process
	// that comes back takes it with no call of the backend: up to 24 h, or NoLinger. To
	// this client's Inspect and Keys the key is free meanwhile, to others it is held.
	//
	// The default is 1 s over embedded://, and none elsewhere. By default a key lingers
	// from its second hold on, and at most 16 384 keys do at a time, so that keys that
	// are used once leave nothing behind. If Linger is set, each key lingers from its
	// first hold on, on any backend and without that limit.
	//
	// Over embedded:// another client that wants the key takes the lease at once, by one
	// try too. Elsewhere it has to wait until this process gives the lease back, as it
	// does when the backend says that others wait, and a crash leaves it until its ttl.
	// Where the backend can't say so (file://, memcache://), Linger is at most Tenure.
	Linger time.Duration
	// PollerGap d frees a key outright for d once every 10 d, so that clients of
	// other libraries, which poll, get their turn on a hot key. Default 0: never.
	// Processes make their gaps at the same time by the wall clock: let all that
	// share a key have the same PollerGap, and clocks that agree to much less.
	PollerGap time.Duration
	// NoHandoff gives the lease back to the backend after every hold. It is for
	// comparison, and for backends whose other clients must see each hold.
	NoHandoff bool
	// MaxWaiters is how many callers may wait for one key in this process:
	// default 10 000, at most 1 000 000. More get ErrOverloaded.
	MaxWaiters int

	// Logger gets what an operator should know, at warn: renewals that fail, and when
	// their hold ends; holds that expired, were lost or revoked before their Release,
	// and at a late Release how long they were overrun; backends that need attention.
	// Default: discard. Its handler runs in the background, so it may block, panic or
	// use the client: no hold waits for it. 1024 records wait for a slow one; more are
	// dropped, and their number is logged afterwards.
	Logger *slog.Logger
}

// withDefaults fills in what is not set, and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Backend == "" {
		c.Backend = defaultBackend
	}
	if c.Expires == 0 {
		c.Expires = DefaultExpires
	}
	switch c.KeyPrefix {
	case "":
		c.KeyPrefix = DefaultKeyPrefix
	case NoPrefix:
		c.KeyPrefix = ""
	}
	if c.Owner == "" {
		c.Owner = defaultOwner()
	}
	if c.Tenure == 0 {
		c.Tenure = actors.DefaultTenure
	}
	if c.MaxWaiters == 0 {
		c.MaxWaiters = actors.DefaultMaxWaiters
	}
	return c, c.check()
}

func (c Config) check() error {
	if err := checkExpires(c.Expires); err != nil {
		return err
	}
	linger := c.Linger
	if linger == NoLinger {
		linger = 0
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"Timeout", c.Timeout}, {"Tenure", c.Tenure}, {"Linger", linger}, {"PollerGap", c.PollerGap},
	} {
		if f.value < 0 {
			return invalid("Config.%s %v: must not be negative", f.name, f.value)
		}
	}
	if c.Linger > MaxExpires || c.PollerGap > MaxExpires {
		return invalid("Config.Linger %v, Config.PollerGap %v: at most %v", c.Linger, c.PollerGap, MaxExpires)
	}
	if c.MaxWaiters < 1 || c.MaxWaiters > MaxMaxWaiters {
		return invalid("Config.MaxWaiters %d: 1 to %d", c.MaxWaiters, MaxMaxWaiters)
	}
	for _, f := range []struct{ name, value string }{{"KeyPrefix", c.KeyPrefix}, {"Owner", c.Owner}} {
		if !isLabel(f.value) {
			return invalid("Config.%s: %s", f.name, labelLimits)
		}
	}
	return nil
}

const labelLimits = "at most 256 bytes, none of them NUL"

func isLabel(s string) bool { return len(s) <= 256 && strings.IndexByte(s, 0) < 0 }

func defaultOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + strconv.Itoa(os.Getpid())
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{backends.ErrInvalid}, args...)...)
}

func checkKey(key string) error {
	switch {
	case key == "":
		return invalid("empty key")
	case len(key) > MaxKey:
		return invalid("key of %d bytes: at most %d", len(key), MaxKey)
	case strings.IndexByte(key, 0) >= 0:
		return invalid("key with a NUL byte")
	}
	return nil
}

func checkExpires(d time.Duration) error {
	if d < MinExpires || d > MaxExpires {
		return invalid("expires of %v: %v to %v", d, MinExpires, MaxExpires)
	}
	return nil
}
