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

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/file"
	_ "github.com/turnstile-go/turnstile/backends/memcache" // the command links them all
	_ "github.com/turnstile-go/turnstile/backends/redis"
	"github.com/turnstile-go/turnstile/lockclient"
)

// connect opens the backend for every command. One of files is opened here and not
// by lockclient, for the descriptor that its session is locked through: the guard
// of a run has to hold it. A zero field means the library's default.
func (s settings) connect(ctx context.Context, expires time.Duration, owner string) (*lockclient.Client, *os.File, error) {
	goredis.SetLogger(driverLog{s.log})
	cfg := lockclient.Config{Backend: s.backend, KeyPrefix: s.prefix, Expires: expires, Owner: owner, Logger: s.log}
	dir, ok, err := fileDir(s.backend)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		// Nor does it use lockclient.Open, which has a limit of 2 s of its own. Here
		// a shorter ctx ends with the server's last answer.
		u, err := url.Parse(s.backend)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: the backend is not a valid URL", lockclient.ErrInvalid)
		}
		b, err := backends.Open(ctx, u, backends.OpenOptions{Logger: s.log})
		if err != nil {
			return nil, nil, err
		}
		client, err := lockclient.New(b, cfg)
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

// longestOpening bounds one opening; a longer wait opens the backend again.
const longestOpening = 2 * time.Second

// leastOpening is what opening may take however short the wait: a connection to
// another continent, with TLS and a login.
const leastOpening = 500 * time.Millisecond

// openingSlack is how long an opening whose time is over has to report its error.
const openingSlack = 100 * time.Millisecond

// openInTime opens the backend within the time that the wait for the key may take. A
// server that refuses for now is as good a reason to wait as a key that is held.
func (p *plan) openInTime() opening {
	patient := !p.try && p.timeout > 0
	longest := longestOpening
	if patient {
		longest = max(min(p.timeout, 10*365*24*time.Hour), leastOpening) // Forever has no sum
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	// File operations and host name lookups don't obey a ctx: they are abandoned a
	// little later.
	last, cancel := context.WithTimeout(context.Background(), longest+openingSlack)
	defer cancel()
	var refusal error
	for {
		o := within(last, func() (*lockclient.Client, *os.File, error) { // Open repeats its request for 2 s
			once, cancel := context.WithTimeout(ctx, longestOpening)
			defer cancel()
			return p.connect(once, p.expires, p.label)
		})
		passes, over := backends.IsPassing(o.err), ctx.Err() != nil
		if passes {
			refusal = o.err
		}
		switch {
		case o.err == nil:
			return o
		case over && refusal != nil:
			return opening{err: refusal}
		case over && errors.Is(o.err, context.DeadlineExceeded):
			return opening{err: reword(backends.Unavailable("", o.err), "no answer in "+readable(longest))}
		case over, !passes, !patient:
			return o
		}
		p.log.Info("waiting for the backend", "backend", display(p.backend), "cause", o.err)
	}
}

// openDir opens a directory of leases. A directory named by the user may be shared
// by several users. The default one has a name that anybody could have taken first.
func (s settings) openDir(dir string, opts ...file.Option) (*file.Backend, error) {
	s.warnOfPrivate(dir)
	if s.backend != defaultBackend() {
		opts = append(opts, file.Shared())
	}
	return file.Open(dir, opts...)
}

// look opens the backend for a command that shows the held keys; it only needs to
// read.
func (s settings) look() (*lockclient.Client, error) { return s.visit(file.Reading()) }

// visit opens the backend for a command that acquires nothing. It makes no
// directory: without one, nobody holds anything.
func (s settings) visit(opts ...file.Option) (*lockclient.Client, error) {
	dir, ok, err := fileDir(s.backend)
	if !ok || err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), longestOpening)
		defer cancel()
		client, _, err := s.connect(ctx, 0, "")
		return client, err
	}
	cfg := lockclient.Config{KeyPrefix: s.prefix, Logger: s.log}
	if missing(dir) {
		s.warnOfPrivate(dir)
		s.log.Debug("the directory does not exist, so nothing is held", "backend", display(s.backend))
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
		return "", true, fmt.Errorf("%w: backend file://…: write file:///DIR, with an absolute path and no parameters", lockclient.ErrInvalid)
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
