package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

const (
	// openTimeout bounds the look at the server at open.
	openTimeout = 2 * time.Second
	// Timeouts of the driver unless the URL says otherwise. Calls have a ctx
	// that ends before most of them; these bound what a dead network can cost.
	dialTimeout = time.Second
	ioTimeout   = 2 * time.Second
)

// Open connects to the server that u names:
//
//	redis://[user:password@]host[:port][/db]
//	rediss://…                               over TLS
//	unix://[user:password@]/path[?db=n]
//
// Query parameters are go-redis's (pool_size, dial_timeout, read_timeout, …),
// and lazy=true: then nothing is sent before the first call, and Open succeeds
// with the server away. Otherwise the server has to answer within 2 s. What is
// not understood is ErrInvalid; a login that is denied is ErrRefused at once.
func Open(ctx context.Context, u *url.URL, logger *slog.Logger) (*Backend, error) {
	options, lazy, err := parse(u)
	if err != nil {
		return nil, err
	}
	b := New(goredis.NewClient(options), Options{Logger: logger, Owned: true})
	if lazy {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := b.ping(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.warnOfEviction(ctx)
	return b, nil
}

// parse reads a URL. Its errors never repeat what stands in the URL's user
// info, nor in any part where an unescaped password may have ended up.
func parse(u *url.URL) (options *goredis.Options, lazy bool, err error) {
	if err := presentableURL(u); err != nil {
		return nil, false, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, false, invalid("the query can't be read")
	}
	if query.Has("lazy") {
		if lazy, err = strconv.ParseBool(query.Get("lazy")); err != nil {
			return nil, false, invalid("lazy is neither true nor false")
		}
		query.Del("lazy")
	}
	for _, retry := range []string{"max_retries", "min_retry_backoff", "max_retry_backoff"} {
		if query.Has(retry) {
			return nil, false, invalid(retry + ": the driver must not repeat commands, and attempts are repeated anyway")
		}
	}
	rest := *u
	rest.RawQuery = query.Encode()
	options, err = goredis.ParseURL(rest.String())
	if whole := new(url.Error); errors.As(err, &whole) {
		return nil, false, invalid("it can't be read") // url.Error repeats all of it
	}
	if err != nil {
		// Only the query is left to be wrong, so this shows none of the password.
		return nil, false, invalid(strings.TrimPrefix(err.Error(), "redis: "))
	}
	if options.DB < 0 {
		return nil, false, invalid("a database number is never negative")
	}
	tune(options)
	return options, lazy, nil
}

// presentableURL checks all of the URL but its query. An unescaped / ? or # in
// a password ends the host early, and the password's rest becomes a path, a
// query or a fragment: so none of these is shown, and an @ in them says what
// happened.
func presentableURL(u *url.URL) error {
	switch {
	case strings.ContainsRune(u.Path+u.RawQuery+u.Fragment, '@'):
		return invalid("an @ behind the host: characters like / ? # in a password have to be written as %2F %3F %23")
	case u.Opaque != "":
		return invalid("the scheme is not followed by //")
	case u.Fragment != "":
		return invalid("a fragment (#…) means nothing here")
	}
	switch u.Scheme {
	case "redis", "rediss":
		if db := strings.Trim(u.Path, "/"); db != "" {
			if n, err := strconv.Atoi(db); err != nil || n < 0 {
				return invalid("the path is no database number")
			}
		}
	case "unix":
		if u.Host != "" || strings.Trim(u.Path, "/ ") == "" {
			return invalid("a unix:// URL needs three slashes and the socket's path")
		}
	default:
		return invalid("the scheme is none of redis, rediss, unix")
	}
	return nil
}

func invalid(what string) error {
	return fmt.Errorf("%w: %s URL: %s", backends.ErrInvalid, name, what)
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
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = ioTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = ioTimeout
	}
}

// ping finds out whether the server answers and lets us in.
func (b *Backend) ping(ctx context.Context) error {
	err := b.client.Ping(ctx).Err()
	if err == nil || goredis.HasErrorPrefix(err, "NOPERM") {
		return nil // a user without +ping is in, too
	}
	return b.judge(ctx, scripts.Inspect, "", err, false).err
}

// warnOfEviction says so if the server may throw locks away: a lock has a ttl,
// which makes it a favourite of every volatile- policy. A user that may not ask
// is none the worse for it.
func (b *Backend) warnOfEviction(ctx context.Context) {
	policy, err := b.client.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil {
		return
	}
	if p := policy["maxmemory-policy"]; p != "" && p != "noeviction" {
		b.log.WarnContext(ctx, "the Redis server may evict live locks: set maxmemory-policy to noeviction",
			"maxmemory-policy", p)
	}
}
