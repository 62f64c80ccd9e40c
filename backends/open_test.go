package backends

import (
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// An app that forgot an import has to learn which, and from the error alone.
func TestAnUnknownSchemeNamesTheImport(t *testing.T) {
	for scheme, want := range map[string]string{
		"redis":          `import _ "github.com/turnstile-go/turnstile/backends/redis"`,
		"rediss+cluster": `import _ "github.com/turnstile-go/turnstile/backends/redis"`,
		"memcache":       `import _ "github.com/turnstile-go/turnstile/backends/memcache"`,
		"file":           `import _ "github.com/turnstile-go/turnstile/backends/file"`,
		"postgres":       `backend scheme "postgres"`,
	} {
		_, err := Open(context.Background(), &url.URL{Scheme: scheme, User: url.UserPassword("u", "SECRET"), Host: "h"}, OpenOptions{})
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want ErrInvalid with %s", scheme, err, want)
		}
	}
}

func TestARegisteredSchemeOpens(t *testing.T) {
	var got *url.URL
	Register(func(_ context.Context, u *url.URL, _ OpenOptions) (Backend, error) {
		got = u
		return nil, ErrClosed
	}, "of-this-test", "and-this")
	if all := Schemes(); !slices.Contains(all, "of-this-test") || !slices.Contains(all, "and-this") || !slices.IsSorted(all) {
		t.Errorf("Schemes: %v", all)
	}
	want := &url.URL{Scheme: "and-this", Host: "name"}
	if _, err := Open(context.Background(), want, OpenOptions{}); err != ErrClosed || got != want {
		t.Errorf("opened %v with %v", got, err)
	}
	if _, err := Open(context.Background(), want, OpenOptions{TLS: &tls.Config{}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a scheme without TLS takes Config.TLS: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a scheme is registered twice in silence")
		}
	}()
	Register(func(context.Context, *url.URL, OpenOptions) (Backend, error) { return nil, nil }, "and-this")
}
