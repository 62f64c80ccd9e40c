package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/turnstile-go/turnstile/backends"
)

// A driverError has the words of the driver. It keeps the standard library's types
// of the error; go-redis's own would tie our callers to go-redis.
type driverError struct {
	text  string
	cause error // may be nil
}

func (e *driverError) Error() string { return e.text }
func (e *driverError) Unwrap() error { return e.cause }

func byDriver(err error) error { return &driverError{bare(err), standard(err)} }

// bare is a driver's text without its name in front: the backend's name, which is the
// same, stands before it anyway.
func bare(err error) string {
	return presentable(strings.TrimPrefix(err.Error(), "redis: "))
}

// standard finds the standard library's part in a driver's error: the outermost of
// a network operation (with the DNS error or the errno in it), a failed handshake,
// a deadline, an end of stream. It is nil if there is none.
func standard(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	if unverified, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return unverified // with x509's errors in it
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return header
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// A serverError has the words of the server, and our type for their meaning.
type serverError struct {
	text   string
	reason backends.Reason // 0: none that we know
}

// saying stands before the words of a server.
const saying = "the server says: "

func (e *serverError) Error() string { return e.text }

func (e *serverError) Unwrap() error {
	if e.reason == 0 {
		return nil
	}
	return e.reason
}

// byServer is an error that a server answered with.
func byServer(text string, reason backends.Reason) *serverError {
	return &serverError{saying + presentable(text), reason}
}
