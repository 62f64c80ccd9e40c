package redis

import (
	"context"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() {
	backends.Register(openURL, "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
}

func openURL(ctx context.Context, u *url.URL, o backends.OpenOptions) (backends.Backend, error) {
	b, err := Open(ctx, u, Options{Logger: o.Logger, TLS: o.TLS})
	if err != nil {
		return nil, err // and no nil pointer in an interface
	}
	return b, nil
}
