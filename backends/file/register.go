package file

import (
	"context"
	"fmt"
	"net/url"

	"github.com/turnstile-go/turnstile/backends"
)

func init() { backends.Register(openURL, "file") }

// openURL opens the directory of file:///DIR. The user has named it, so it may be a
// directory that several users share.
func openURL(_ context.Context, u *url.URL, _ backends.OpenOptions) (backends.Backend, error) {
	dir, err := directoryOf(u)
	if err != nil {
		return nil, err
	}
	b, err := Open(dir, Shared())
	if err != nil {
		return nil, err // and no nil pointer in an interface
	}
	return b, nil
}

func directoryOf(u *url.URL) (string, error) {
	what := ""
	switch {
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		what = "takes a directory and no parameters"
	case u.Host != "" && u.Host != "localhost":
		what = "the directory must be absolute, as in file:///var/lib/locks"
	case u.Path == "" || u.Path == "/":
		what = "name a directory, as in file:///var/lib/locks"
	default:
		return u.Path, nil
	}
	return "", fmt.Errorf("%w: backend URL file://: %s", backends.ErrInvalid, what)
}
