package backends

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// OpenOptions are the settings of a backend that its URL does not carry.
type OpenOptions struct {
	// Logger gets what an operator should know; never nil.
	Logger *slog.Logger
	// TLS configures the connections to the server, in place of the URL's own
	// parameters; nil leaves it to them. Only schemes that begin with rediss take
	// one.
	TLS *tls.Config
}

// An Opener opens the backend that a URL names. A URL that makes no sense is
// ErrInvalid, a server that does not answer within the ctx's time ErrUnavailable.
// No error prints a secret of the URL.
type Opener func(ctx context.Context, u *url.URL, o OpenOptions) (Backend, error)

// opening protects openers, which hold what was registered.
var (
	opening sync.RWMutex
	openers = map[string]Opener{}
)

// Register makes a backend available to Open under one or more URL schemes. A
// backend's package calls it when it is imported, as drivers of database/sql do, so
// that a program links the backends that it names and no others. Two backends of one
// scheme are a mistake of the program: Register panics.
func Register(open Opener, schemes ...string) {
	opening.Lock()
	defer opening.Unlock()
	for _, scheme := range schemes {
		if openers[scheme] != nil {
			panic("backends: scheme " + scheme + " is registered twice")
		}
		openers[scheme] = open
	}
}

// Schemes returns the registered URL schemes, sorted.
func Schemes() []string {
	opening.RLock()
	defer opening.RUnlock()
	all := make([]string, 0, len(openers))
	for scheme := range openers {
		all = append(all, scheme)
	}
	slices.Sort(all)
	return all
}

// Open opens the backend that u names. A scheme that nobody registered is
// ErrInvalid, and the error names the import that brings it.
func Open(ctx context.Context, u *url.URL, o OpenOptions) (Backend, error) {
	opening.RLock()
	open := openers[u.Scheme]
	opening.RUnlock()
	switch {
	case open == nil:
		return nil, unknownScheme(u.Scheme)
	case o.TLS != nil && !strings.HasPrefix(u.Scheme, "rediss"):
		return nil, fmt.Errorf("%w: Config.TLS with a backend URL of scheme %q: it is for rediss://, rediss+sentinel:// and rediss+cluster://", ErrInvalid, u.Scheme)
	}
	return open(ctx, u, o)
}

// packages are the backends of this module, by their schemes; for an error's words.
var packages = map[string]string{
	"embedded": "embedded", "open": "open", "file": "file", "memcache": "memcache",
	"redis": "redis", "rediss": "redis", "unix": "redis",
	"redis+sentinel": "redis", "rediss+sentinel": "redis", "redis+cluster": "redis", "rediss+cluster": "redis",
}

func unknownScheme(scheme string) error {
	if name, ours := packages[scheme]; ours {
		return fmt.Errorf("%w: backend scheme %q: its package is not linked; add import _ %q",
			ErrInvalid, scheme, "github.com/turnstile-go/turnstile/backends/"+name)
	}
	return fmt.Errorf("%w: backend scheme %q: this program knows %s", ErrInvalid, scheme, strings.Join(Schemes(), ", "))
}

// LocalName returns what follows the scheme of a URL that is a name and nothing
// else, as in embedded://NAME.
func LocalName(u *url.URL) (string, error) {
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%w: backend URL %s://: takes a name and no parameters", ErrInvalid, u.Scheme)
	}
	return u.Host + u.Path, nil
}
