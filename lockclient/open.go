package lockclient

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/backends/file"
	"github.com/turnstile-go/turnstile/backends/memcache"
	"github.com/turnstile-go/turnstile/backends/open"
	"github.com/turnstile-go/turnstile/backends/redis"
)

// openTimeout bounds what Open waits for a server.
const openTimeout = 2 * time.Second

// Open opens the backend that cfg.Backend names and returns a client over it.
// A bad URL or a value out of its limits is ErrInvalid; a server that does not
// answer within 2 s is ErrUnavailable (redis://…?lazy=true and memcache://…?lazy=true
// wait for it in the acquires instead). No error prints the URL's password.
func Open(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	backend, err := openBackend(cfg)
	if err != nil {
		return nil, err
	}
	return newClient(backend, cfg)
}

// openBackend alone knows the concrete backends.
func openBackend(cfg Config) (backends.Backend, error) {
	u, err := parseURL(cfg.Backend)
	if err != nil {
		return nil, err
	}
	if cfg.TLS != nil && !strings.HasPrefix(u.Scheme, "rediss") {
		return nil, invalid("Config.TLS with a backend URL of scheme %q: it is for rediss://, rediss+sentinel:// and rediss+cluster://", printable(u.Scheme))
	}
	switch u.Scheme {
	case "embedded":
		name, err := localName(u)
		if err != nil {
			return nil, err
		}
		return embedded.Open(name), nil
	case "open":
		if _, err := localName(u); err != nil {
			return nil, err
		}
		return open.New(cfg.Logger), nil
	case "file":
		dir, err := directoryOf(u)
		if err != nil {
			return nil, err
		}
		return opened(file.Open(dir, file.Shared())) // the caller named it
	case "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster":
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		return opened(redis.Open(ctx, u, redis.Options{Logger: cfg.Logger, TLS: cfg.TLS}))
	case "memcache":
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		return opened(memcache.Open(ctx, u))
	}
	return nil, invalid("backend scheme %q: use embedded, file, redis, rediss, unix, redis+sentinel, redis+cluster, memcache or open", u.Scheme)
}

// opened keeps a nil pointer out of the interface.
func opened[B backends.Backend](b B, err error) (backends.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// parseURL is url.Parse, whose errors quote the URL, without the secrets in it.
func parseURL(raw string) (*url.URL, error) {
	scheme, _, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, invalid("backend URL without a scheme: want one like redis://host:6379/0 or file:///dir")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, invalid("backend URL %s://…: host, port or escapes are malformed", printable(scheme))
	}
	return u, nil
}

// printable keeps what may be half a password out of an error: a scheme has
// letters, digits, +, - and . only.
func printable(scheme string) string {
	for _, c := range scheme {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.", c) {
			return "?"
		}
	}
	return scheme
}

// localName is what follows embedded:// or open://.
func localName(u *url.URL) (string, error) {
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", invalid("backend URL %s://: takes a name and no parameters", u.Scheme)
	}
	return u.Host + u.Path, nil
}

func directoryOf(u *url.URL) (string, error) {
	switch {
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", invalid("backend URL file://: takes a directory and no parameters")
	case u.Host != "" && u.Host != "localhost":
		return "", invalid("backend URL file://%s%s: the directory must be absolute, as in file:///var/lib/locks", u.Host, u.Path)
	case u.Path == "" || u.Path == "/":
		return "", invalid("backend URL file://: name a directory, as in file:///var/lib/locks")
	}
	return u.Path, nil
}
