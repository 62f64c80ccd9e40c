package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/turnstile-go/turnstile/lockclient"
)

// An interrupt is the cause of a context that a signal has ended.
type interrupt struct{ number syscall.Signal }

func (i *interrupt) Error() string { return fmt.Sprintf("interrupted by %v", i.number) }

// interruptible ends a context by the first INT or TERM. A second one ends the
// process: then whatever is still under way takes too long.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the context
		defer signal.Stop(signals)
		select {
		case sig := <-signals:
			cancel(&interrupt{sig.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// lookWithin is look, given up when ctx ends: opening has a bound of its own, which
// is too long for a person who waits for a key press to act.
func (s settings) lookWithin(ctx context.Context) (*lockclient.Client, error) {
	type opened struct {
		client *lockclient.Client
		err    error
	}
	done := make(chan opened, 1)
	go func() { // ends within that bound, or with the process
		client, err := s.look()
		done <- opened{client, err}
	}()
	select {
	case o := <-done:
		return o.client, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
