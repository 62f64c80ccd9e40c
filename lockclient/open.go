package lockclient

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	_ "github.com/turnstile-go/turnstile/backends/embedded" // always there
	_ "github.com/turnstile-go/turnstile/backends/open"     // and this
	"github.com/turnstile-go/turnstile/internal/logqueue"
)

// openTimeout bounds what Open waits for a server.
const openTimeout = 2 * time.Second

// Open opens the backend that cfg.Backend names and returns a client over it.
// embedded:// and open:// are always there. Another backend has to be linked by a
// blank import of its package, as in
//
//	import _ "github.com/turnstile-go/turnstile/backends/redis"
//
// The error of a scheme that is not linked says so.
// A bad URL or a value out of its limits is ErrInvalid. A server that does not
// answer within 2 s is ErrUnavailable, and so is one that still refuses then, as
// while it is loading its data (with redis://…?lazy=true and memcache://…?lazy=true
// the acquires wait for it instead). A refusal that waiting can't mend is
// ErrRefused at once. No error prints the URL's password.
func Open(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var closeLog func()
	cfg.Logger, closeLog = logqueue.Wrap(cfg.Logger) // backends log as well
	backend, err := openBackend(cfg)
	if err != nil {
		closeLog()
		return nil, err
	}
	return newClient(backend, cfg, closeLog)
}

// openBackend opens a backend by its URL, as the package that registered the scheme
// understands it.
func openBackend(cfg Config) (backends.Backend, error) {
	u, err := parseURL(cfg.Backend)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	return backends.Open(ctx, u, backends.OpenOptions{Logger: cfg.Logger, TLS: cfg.TLS})
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
