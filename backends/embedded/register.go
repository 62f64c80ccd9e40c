package embedded

import (
	"context"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() { backends.Register(openURL, "embedded") }

// openURL opens the store that embedded://NAME names.
func openURL(_ context.Context, u *url.URL, _ backends.OpenOptions) (backends.Backend, error) {
	name, err := backends.LocalName(u)
	if err != nil {
		return nil, err
	}
	return Open(name), nil
}
