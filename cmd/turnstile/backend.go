//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/file"
	"github.com/turnstile-go/turnstile/lockclient"
)

// open opens the backend. One of files is opened here and not by lockclient, for
// the descriptor that its session is locked through: the guard has to hold it.
func (p *plan) open() (*lockclient.Client, *os.File, error) {
	goredis.SetLogger(driverLog{p.log})
	cfg := lockclient.Config{Backend: p.backend, KeyPrefix: p.prefix, Expires: p.expires, Logger: p.log}
	u, err := url.Parse(p.backend)
	if err != nil || u.Scheme != "file" {
		client, err := lockclient.Open(cfg)
		return client, nil, err
	}
	local := u.Host == "" || u.Host == "localhost"
	if !local || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, nil, fmt.Errorf("%w: backend %q: write file:///DIR, with an absolute path and no parameters", lockclient.ErrInvalid, p.backend)
	}
	// A directory that was named may be one that several users share. The default
	// one has a name that anybody could have taken first.
	var opts []file.Option
	if p.backend != defaultBackend() {
		opts = append(opts, file.Shared())
	}
	b, err := file.Open(u.Path, opts...)
	if err != nil {
		return nil, nil, err
	}
	client, err := lockclient.New(b, cfg)
	if err != nil {
		return nil, nil, err
	}
	return client, b.SessionFile(), nil
}

// A driverLog is the Redis driver's own log, which would go to stderr otherwise:
// what matters of it comes back as errors. The setting is one of the process, so
// that it is the command's to make and not the library's.
type driverLog struct{ log *slog.Logger }

func (d driverLog) Printf(_ context.Context, format string, v ...any) {
	d.log.Debug(fmt.Sprintf(format, v...))
}
