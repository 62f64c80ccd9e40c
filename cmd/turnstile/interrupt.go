package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// An interrupt is the cause of a context that a signal has ended.
type interrupt struct{ number syscall.Signal }

func (i *interrupt) Error() string { return fmt.Sprintf("interrupted by %v", i.number) }

// impatience is the time after a first INT or TERM from which another one means that
// the first did not help. An earlier one is the same signal again: timeout(1)
// signals its child, and then the group that the child is in.
const impatience = 300 * time.Millisecond

// heed starts to receive signals. Signals that our caller ignores, as nohup does,
// stay ignored.
func heed(signals chan<- os.Signal, each ...os.Signal) {
	for _, sig := range each {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
}

// interruptible ends a context by the first INT or TERM. Another one ends the
// process: the operation still under way takes too long.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	heed(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the context, or shortly after
		defer signal.Stop(signals)
		cancelBy(ctx, cancel, signals)
	}()
	return ctx, func() { cancel(nil) }
}

// cancelBy cancels a context by a signal. It returns once another signal may end the
// process.
func cancelBy(ctx context.Context, cancel context.CancelCauseFunc, signals <-chan os.Signal) {
	select {
	case sig := <-signals:
		cancel(&interrupt{sig.(syscall.Signal)})
		time.Sleep(impatience)
	case <-ctx.Done():
	}
}

// An opening is what came of opening a backend.
type opening struct {
	client  *lockclient.Client
	session *os.File // of file://, for the guard
	err     error
}

// within opens a backend, given up when ctx ends: opening has a bound of its own, which
// is too long for whoever set another, and for a person who waits for a key press to act.
func within(ctx context.Context, open func() (*lockclient.Client, *os.File, error)) opening {
	done := make(chan opening, 1)
	go func() { // ends within that bound, or with the process
		client, session, err := open()
		done <- opening{client, session, err}
	}()
	select {
	case o := <-done:
		return o
	case <-ctx.Done():
		return opening{err: ctx.Err()}
	}
}
