package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// Nobody should have to match words: an error of the system keeps its type on its
// way through the driver and us.
func TestCausesKeepTheirType(t *testing.T) {
	is := func(want error) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) }
	}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, row := range []struct {
		name string
		err  error
		kept func(error) bool
	}{
		{"dial refused", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), is(syscall.ECONNREFUSED)},
		{"no such host", dial(&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}), func(err error) bool {
			dns, ok := errors.AsType[*net.DNSError](err)
			return ok && dns.IsNotFound
		}},
		{"a bare errno", syscall.EPIPE, is(syscall.EPIPE)},
		{"an authority that is not trusted", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, func(err error) bool {
			_, ok := errors.AsType[x509.UnknownAuthorityError](err)
			return ok
		}},
		{"no TLS there", tls.RecordHeaderError{Msg: "no record"}, func(err error) bool {
			_, ok := errors.AsType[tls.RecordHeaderError](err)
			return ok
		}},
		{"a deadline", os.ErrDeadlineExceeded, is(os.ErrDeadlineExceeded)},
		{"the end of the stream", io.EOF, is(io.EOF)},
		{"a cancelled context", context.Canceled, is(context.Canceled)},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, form := range []form{single, sentinel, cluster} {
				b := &Backend{log: slog.New(slog.DiscardHandler), topology: &topology{form: form}}
				cause := fmt.Errorf("redis: connection pool: %w", row.err)
				if form == sentinel {
					cause = errors.Join(cause, errors.New("another Sentinel"))
				}
				f := b.judge(t.Context(), scripts.Acquire, "k", cause, false)
				if !row.kept(f.err) || !errors.Is(f.err, backends.ErrUnavailable) {
					t.Errorf("form %d: %#v has lost the type of %v", form, f.err, row.err)
				}
				if strings.Contains(f.err.Error(), "redis: redis:") {
					t.Errorf("%v says the backend's name twice", f.err)
				}
			}
		})
	}
}

func TestRefusalsHaveReasons(t *testing.T) {
	for _, row := range []struct {
		said   reply
		reason backends.Reason
		passes bool
	}{
		{"LOADING Redis is loading the dataset in memory", backends.Loading, true},
		{"BUSY Redis is busy running a script.", backends.Busy, true},
		{"ERR max number of clients reached", backends.TooManyClients, true},
		{"OOM command not allowed when used memory > 'maxmemory'.", backends.OutOfMemory, true},
		{"MISCONF Redis is configured to save RDB snapshots", backends.CannotSave, true},
		{"NOREPLICAS Not enough good replicas to write.", backends.TooFewReplicas, true},
		{"CLUSTERDOWN The cluster is down", backends.Moving, true},
		{"READONLY You can't write against a read only replica.", backends.ReadOnly, false},
		{"WRONGPASS invalid username-password pair", backends.WrongLogin, false},
		{"NOAUTH Authentication required.", backends.WrongLogin, false},
		{"NOPERM this user has no permissions to run the 'evalsha' command", backends.NoPermission, false},
		{"WRONGTYPE Operation against a key", backends.WrongType, false},
		{"ERR DB index is out of range", backends.WrongDatabase, false},
		{"MOVED 3999 127.0.0.1:6381", backends.WrongServer, false},
	} {
		b := &Backend{log: slog.New(slog.DiscardHandler), topology: &topology{}}
		err := b.judge(t.Context(), scripts.Acquire, "k", row.said, false).err
		if !errors.Is(err, row.reason) || backends.IsPassing(err) != row.passes || backends.IsRefused(err) == row.passes {
			t.Errorf("%s: %v: passing %v, refused %v; want %v, passing %v", row.said, err, backends.IsPassing(err), backends.IsRefused(err), row.reason, row.passes)
		}
	}
}

// A refusal can pass where the same servers had served us before, or where
// others take their place.
func TestRefusalsThatCanPassAfterAll(t *testing.T) {
	const readOnly, denied = reply("READONLY You can't write against a read only replica."), reply("WRONGPASS no")
	for _, row := range []struct {
		name       string
		form       form
		let, wrote bool
		said       goredis.Error
		refused    bool
	}{
		{"a replica from the start", single, true, false, readOnly, true},
		{"a master that became a replica", single, true, true, readOnly, false},
		{"a master that Sentinels replace", sentinel, false, false, readOnly, false},
		{"a master that a Cluster replaces", cluster, false, false, readOnly, false},
		{"a login that never worked", single, false, false, denied, true},
		{"a login that had worked", single, true, false, denied, false},
		{"a login that never worked, on a Cluster", cluster, false, false, denied, true},
	} {
		b := &Backend{log: slog.New(slog.DiscardHandler), topology: &topology{form: row.form}}
		b.let.Store(row.let)
		b.wrote.Store(row.wrote)
		err := b.judge(t.Context(), scripts.Acquire, "k", row.said, true).err
		if backends.IsRefused(err) != row.refused || !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%s: %v, refused %v", row.name, err, !row.refused)
		}
	}
}
