package redis

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"
)

// atTheDoor keeps the reason why a connection ended early, since the driver would
// lose it. A server at maxclients answers the driver's HELLO with an error and
// closes; the driver takes that for an old server, goes on, and reports the broken
// pipe. A proxy that doesn't know a command may just close.
type atTheDoor struct{}

// hook adds atTheDoor to a client of our own.
func hook(client goredis.UniversalClient) {
	switch c := client.(type) {
	case *goredis.ClusterClient:
		c.OnNewNode(func(node *goredis.Client) { node.AddHook(atTheDoor{}) })
	case *goredis.Client:
		c.AddHook(atTheDoor{})
	}
}

func (atTheDoor) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (atTheDoor) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (atTheDoor) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		switch {
		case err == nil:
			return nil
		case cmd.Name() == "hello" && goredis.HasErrorPrefix(err, "max number of clients"):
			return &turnedAway{err.Error()}
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return &closedAt{strings.ToUpper(cmd.Name()), err}
		}
		return err
	}
}

// A turnedAway is a server's answer to HELLO that ends the connection. It doesn't
// look like a server's error to the driver, since the driver would go on after one.
type turnedAway struct{ said string }

func (e *turnedAway) Error() string { return e.said }

// A closedAt names the command at which a connection ended.
type closedAt struct {
	command string
	cause   error
}

func (e *closedAt) Error() string {
	s := "the connection was closed at " + e.command
	if e.command == "HELLO" { // the first of all
		s += " (by a proxy that does not know it, or a port that wants TLS?)"
	}
	return s + ": " + bare(e.cause)
}

// Unwrap returns a list since the driver strips one layer of an error at its login.
func (e *closedAt) Unwrap() []error { return []error{e.cause} }
