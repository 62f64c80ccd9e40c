package redis

import (
	"context"
	"errors"
	"net/url"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/door"
	"github.com/turnstile-go/turnstile/scripts"
)

const (
	// openTimeout bounds the look at the server at open.
	openTimeout = 2 * time.Second
	// pingTimeout is how long one of several nodes is listened to at open.
	pingTimeout = 600 * time.Millisecond
	// Timeouts of the driver unless the URL says otherwise. Calls have a ctx
	// that ends before most of them; these bound what a dead network can cost.
	dialTimeout = time.Second
	ioTimeout   = 2 * time.Second
	// idleTimeout is how long an unused connection stays in a pool, unless the URL
	// says otherwise. NATs and firewalls forget a connection that is silent for
	// longer.
	idleTimeout = 5 * time.Minute
	// stateInterval is how old what is known of a Cluster may be. A node that is
	// lost or wrong is noticed by the calls, and asks for news at once.
	stateInterval = 10 * time.Second
)

// Open connects to the servers that u names:
//
//	redis://[user:password@]host[:port][/db]
//	unix://[user:password@]/path[?db=n]
//	redis+sentinel://[user:password@]host[:port][,host:port…][/db]?master_name=NAME
//	redis+cluster://[user:password@]host[:port][,host:port…]
//
// The hosts of redis+sentinel:// are the Sentinels; user and password are the
// data nodes', and the Sentinels' own, if they want any, are sentinel_username=
// and sentinel_password=. Further hosts can also be given as addr=host:port, as
// IPv6 addresses after the first have to be.
// With rediss in place of redis all connections are by TLS, for which there are
//
//	tls_ca=FILE            the authorities to trust, in place of the system's
//	tls_cert=, tls_key=    our own certificate and its key, for servers that want one
//	tls_server_name=NAME   whom the server's certificate has to be for, if not the host
//	skip_verify=true       trust whoever answers
//
// unless o.TLS has it all. Files are in PEM form. Other query parameters are
// go-redis's (protocol, pool_size, dial_timeout, read_timeout, client_name, …; by
// Sentinel timeouts of at most 2s), and lazy=true: then nothing is sent before the
// first call, and Open succeeds with the server away. conn_max_idle_time bounds how
// long an unused connection is kept; it is 5m unless given. Otherwise a server has
// to answer within 2 s: one that is not up yet, or refuses for now (LOADING, too
// many clients, …), is asked again until then. An option that is not understood, or
// would have to be ignored, is ErrInvalid; a login or a certificate that is not
// accepted is ErrRefused at once.
//
// go-redis has one logger for the whole process, which writes to stderr. This
// package sets another one when it is imported: lines about Open's connections go to
// o.Logger, at debug, and the rest is dropped. A program that calls go-redis's
// SetLogger, in main or later, has its own instead.
//
// If another server takes a server's name and the old one lives on, the old one
// keeps its connections: one client locks on the old server, another on the new one,
// and both hold. conn_max_lifetime=1m bounds that to a minute, since each connection
// is then made anew within that time; until then, only a resource that compares
// fences is safe.
func Open(ctx context.Context, u *url.URL, o Options) (*Backend, error) {
	t, err := parse(u, o.TLS)
	if err != nil {
		return nil, err
	}
	o.Owned = true
	client, d := t.connect()
	hook(client)
	b := New(client, o)
	b.dialer = d
	d.backend.Store(b)
	if t.lazy {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ask := func(ctx context.Context) error { return b.ping(ctx, t.speaksPlain) }
	if err := door.Knock(ctx, ask, backends.IsRefused, backends.IsPassing); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.warnOfServers(ctx)
	return b, nil
}

// tune sets what is ours to decide, and the defaults of what is not.
func tune(o *goredis.Options) {
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	// The driver's own five dials, 100 ms apart, only delay an error that the
	// key actor handles better.
	o.DialerRetries = 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	tuneTimeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxIdleTime)
}

func tuneSentinel(o *goredis.FailoverOptions) {
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.DisableIdentity = true
	tuneTimeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxIdleTime)
}

func tuneCluster(o *goredis.ClusterOptions) {
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	o.DialerRetries = 1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ClusterStateReloadInterval = stateInterval
	// These ask the server for its list of commands, which a user may not be
	// allowed to see, and are of no use to scripts.
	o.DisableRoutingPolicies = true
	tuneTimeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.ConnMaxIdleTime)
}

func tuneTimeouts(dial, read, write, idle *time.Duration) {
	for _, f := range []struct {
		is   *time.Duration
		want time.Duration
	}{{dial, dialTimeout}, {read, ioTimeout}, {write, ioTimeout}, {idle, idleTimeout}} {
		if *f.is == 0 {
			*f.is = f.want
		}
	}
}

// ping asks the servers once whether they answer and let us in; some of several may be
// dead. plain reports whether a server that should speak TLS was seen to speak without.
func (b *Backend) ping(ctx context.Context, plain func(context.Context) bool) error {
	err := b.pingOnce(ctx)
	if err != nil && !backends.IsRefused(err) && plain(ctx) {
		return backends.Refused(name, notTLSAdvice, &serverError{"it answers a plain PING", backends.WrongServer})
	}
	return err
}

func (b *Backend) pingOnce(ctx context.Context) error {
	var err error
	if b.topology.nodes != nil {
		// Any node that answers will do: this asks one after the other for the
		// Cluster's slots, in an order that is new each time. A ping would go to one
		// of them, which may be dead.
		once, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		_, err = b.topology.nodes.MasterForKey(once, "")
	} else {
		err = b.client.Ping(ctx).Err()
	}
	if err == nil || goredis.HasErrorPrefix(err, "NOPERM") && b.topology.nodes == nil {
		once(&b.let)
		return nil // a user without +ping is in, too
	}
	return b.judge(ctx, scripts.Inspect, "", err, false).err
}
