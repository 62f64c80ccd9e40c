package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/scripts"
)

// wake is what two processes in turn can't do without, and nothing else: the one
// publishes, the other wakes and sends one EVALSHA, and then it is its turn. The
// script is acquire.lua on a lease that its caller has already, which is the very
// call that confirms a lease given by release.
type wake struct{ pool int }

func (wake) Name() string { return "publish-wake-evalsha" }

func (wake) Describe() bench.Description {
	return bench.Description{
		Settings: "no lock: go-redis as Turnstile sets it up, two processes in turn: PUBLISH, a subscriber wakes, one EVALSHA of acquire.lua as a confirmation",
		Place:    bench.PlaceRedis, Peer: true,
	}
}

func (wake) Inner() []string { return ourInner() }

type wakeTurns struct {
	client  *goredis.Client
	inbox   *goredis.PubSub
	other   string // the other's inbox
	confirm []any  // the EVALSHA, made once
	mine    bool   // the next turn needs no message; the one caller's
}

// Open takes the lease that confirm will find: granted once, never released, and
// made longer by every confirmation. Who opens first begins.
func (s wake) Open(ctx context.Context, at bench.Place) (bench.Locker, error) {
	w := &wakeTurns{client: plainClient(at.Addr, s.pool)}
	if err := w.open(ctx, at.Run); err != nil {
		return nil, errors.Join(fmt.Errorf("wake: %w", err), w.Close())
	}
	return w, nil
}

func (w *wakeTurns) open(ctx context.Context, run string) error {
	before, err := w.client.Incr(ctx, run).Result()
	if err != nil {
		return err
	}
	w.mine = before == 1
	me, other := run+":"+strconv.FormatInt(before, 10), run+":"+strconv.FormatInt(3-before, 10)
	w.other = other
	token := backends.NewSession().Token(1)
	if err := w.client.Do(ctx, acquireArgs("eval", scripts.Acquire.Source(), me, token)...).Err(); err != nil {
		return err
	}
	w.confirm = acquireArgs("evalsha", scripts.Acquire.SHA(), me, token)
	w.inbox = w.client.Subscribe(ctx, me)
	_, err = w.inbox.Receive(ctx) // subscribed, or the first message would be lost
	return err
}

// Lock reads the inbox itself. A goroutine and a channel in between, as an
// application has them, would make the yardstick longer and our ratio better.
func (w *wakeTurns) Lock(ctx context.Context, _ string) (bench.Held, error) {
	if w.mine {
		w.mine = false
		return unlock(w.pass), nil
	}
	// The driver reads on through a ctx that is cancelled.
	stop := context.AfterFunc(ctx, func() { _ = w.inbox.Close() })
	_, err := w.inbox.ReceiveMessage(ctx)
	stop()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wake: %w", err), ctx.Err())
	}
	reply, err := w.client.Do(ctx, w.confirm...).Slice()
	if err != nil {
		return nil, fmt.Errorf("wake: %w", err)
	}
	if !yes(reply) {
		return nil, fmt.Errorf("wake: the lease was not confirmed: %v", reply)
	}
	return unlock(w.pass), nil
}

func (w *wakeTurns) pass() error {
	return w.client.Publish(context.Background(), w.other, "your turn").Err()
}

// Close finds the inbox closed where a wait was broken off.
func (w *wakeTurns) Close() error {
	if w.inbox != nil {
		_ = w.inbox.Close()
	}
	return w.client.Close()
}
