package open

import (
	"context"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() { backends.Register(open, "open") }

// open takes any name after open://, which makes no difference.
func open(_ context.Context, u *url.URL, o backends.OpenOptions) (backends.Backend, error) {
	if _, err := backends.LocalName(u); err != nil {
		return nil, err
	}
	return New(o.Logger), nil
}
