package memcache

import (
	"context"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() { backends.Register(openURL, "memcache") }

func openURL(ctx context.Context, u *url.URL, _ backends.OpenOptions) (backends.Backend, error) {
	b, err := Open(ctx, u)
	if err != nil {
		return nil, err // and no nil pointer in an interface
	}
	return b, nil
}
