package open

import (
	"context"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() { backends.Register(openURL, "open") }

// openURL takes any name after open://, which makes no difference.
func openURL(_ context.Context, u *url.URL, o backends.OpenOptions) (backends.Backend, error) {
	if _, err := backends.LocalName(u); err != nil {
		return nil, err
	}
	return New(o.Logger), nil
}
