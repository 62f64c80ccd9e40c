package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/file"
	_ "github.com/turnstile-go/turnstile/backends/memcache" // the command links them all
	_ "github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/lockclient"
)

// connect opens the backend for every command. One of files is opened here and not
// by lockclient, for the descriptor that its session is locked through: the guard
// of a run has to hold it. What is zero has the library's default.
func (s settings) connect(expires time.Duration, owner string) (*lockclient.Client, *os.File, error) {
	goredis.SetLogger(driverLog{s.log})
	cfg := lockclient.Config{Backend: s.backend, KeyPrefix: s.prefix, Expires: expires, Owner: owner, Logger: s.log}
	dir, ok, err := fileDir(s.backend)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		client, err := lockclient.Open(cfg)
		return client, nil, err
	}
	b, err := s.openDir(dir)
	if err != nil {
		return nil, nil, err
	}
	client, err := lockclient.New(b, cfg)
	if err != nil {
		return nil, nil, err
	}
	return client, b.SessionFile(), nil
}

// open opens the backend for a run.
func (p *plan) open() (*lockclient.Client, *os.File, error) { return p.connect(p.expires, p.label) }

// leastOpening is what opening may take however short the wait: a connection to
// another continent, with TLS and a login.
const leastOpening = 500 * time.Millisecond

// openInTime is open, within the time that the wait for the key may take.
func (p *plan) openInTime() opening {
	ctx := context.Background()
	if !p.try && p.timeout > 0 && p.timeout != lockclient.Forever {
		bounded, cancel := context.WithTimeout(ctx, max(p.timeout, leastOpening))
		defer cancel()
		ctx = bounded
	}
	o := within(ctx, p.open)
	if o.err != nil && ctx.Err() != nil && errors.Is(o.err, ctx.Err()) {
		o.err = fmt.Errorf("%w: no answer in %s", lockclient.ErrUnavailable, readable(max(p.timeout, leastOpening)))
	}
	return o
}

// openDir opens a directory of leases. One that was named may be one that several
// users share. The default one has a name that anybody could have taken first.
func (s settings) openDir(dir string, opts ...file.Option) (*file.Backend, error) {
	s.warnOfPrivate(dir)
	if s.backend != defaultBackend() {
		opts = append(opts, file.Shared())
	}
	return file.Open(dir, opts...)
}

// look opens the backend for a command that shows what is held, which needs no more
// than to read.
func (s settings) look() (*lockclient.Client, error) { return s.visit(file.Reading()) }

// visit opens the backend for a command that acquires nothing. It makes no directory:
// where there is none, nobody holds anything.
func (s settings) visit(opts ...file.Option) (*lockclient.Client, error) {
	dir, ok, err := fileDir(s.backend)
	if !ok || err != nil {
		client, _, err := s.connect(0, "")
		return client, err
	}
	cfg := lockclient.Config{KeyPrefix: s.prefix, Logger: s.log}
	if missing(dir) {
		s.warnOfPrivate(dir)
		s.log.Debug("the directory does not exist, so nothing is held", "backend", s.backend)
		return lockclient.New(vacant{}, cfg)
	}
	b, err := s.openDir(dir, opts...)
	if err != nil {
		return nil, err
	}
	return lockclient.New(b, cfg)
}

// fileDir is the directory of a backend of files; ok says whether it is one.
func fileDir(backend string) (dir string, ok bool, err error) {
	u, err := url.Parse(backend)
	if err != nil || u.Scheme != "file" {
		return "", false, nil
	}
	local := u.Host == "" || u.Host == "localhost"
	if !local || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", true, fmt.Errorf("%w: backend %q: write file:///DIR, with an absolute path and no parameters", lockclient.ErrInvalid, backend)
	}
	return u.Path, true, nil
}

// missing reports whether a directory is not there and could be made. Anything
// else that is wrong with it is for the backend to tell.
func missing(dir string) bool {
	_, err := os.Lstat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Stat(filepath.Dir(dir))
	return err == nil
}

// A driverLog is the Redis driver's own log, which would go to stderr otherwise:
// what matters of it comes back as errors. The setting is one of the process, so
// that it is the command's to make and not the library's.
type driverLog struct{ log *slog.Logger }

func (d driverLog) Printf(_ context.Context, format string, v ...any) {
	d.log.Debug(fmt.Sprintf(format, v...))
}
