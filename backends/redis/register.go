package redis

import (
	"context"
	"net/url"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

func init() {
	backends.Register(openURL, "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
	// go-redis's own default is stderr. An app that wants to set its logger does so later,
	// and keeps what it has set.
	goredis.SetLogger(driverLog{})
}

func openURL(ctx context.Context, u *url.URL, o backends.OpenOptions) (backends.Backend, error) {
	b, err := Open(ctx, u, Options{Logger: o.Logger, TLS: o.TLS})
	if err != nil {
		return nil, err // and no nil pointer in an interface
	}
	return b, nil
}
