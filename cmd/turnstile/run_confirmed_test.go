//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A giver is a backend whose key somebody else has at first. Then a push gives it to the asker.
type giver struct {
	backends.Backend // nil
	wake             func(backends.Wake)
	acquires         atomic.Int32
}

func (g *giver) Subscribe(_ backends.Session, wake func(backends.Wake)) error {
	g.wake = wake
	return nil
}

func (g *giver) Acquire(_ context.Context, r backends.Request) (backends.Reply, error) {
	if g.acquires.Add(1) > 1 {
		return backends.Reply{Outcome: backends.Granted, Base: 1001, TTL: r.TTL}, nil
	}
	time.AfterFunc(100*time.Millisecond, func() {
		g.wake(backends.Wake{Key: r.Key, Kind: backends.Gave, Attempt: r.Token.Attempt(), Ask: r.Ask, Base: 1000, TTL: r.Alive})
	})
	return backends.Reply{Outcome: backends.Held, Retry: time.Hour}, nil
}

func (g *giver) Renew(_ context.Context, _ backends.Attempt, ttl time.Duration, _ uint64) (backends.Reply, error) {
	return backends.Reply{Outcome: backends.Granted, Base: 1002, TTL: ttl}, nil
}

func (g *giver) Release(context.Context, backends.Attempt) error { return nil }
func (g *giver) Close() error                                    { return nil }

// TestRunActsOnlyOnAConfirmedHold: a push tells that the lease was given, for a second. The command starts once the backend
// has confirmed it, under a hold that has its full time.
func TestRunActsOnlyOnAConfirmedHold(t *testing.T) {
	scheme := fmt.Sprintf("giver-%d", time.Now().UnixNano()) // a scheme is registered once a process
	backends.Register(func(context.Context, *url.URL, backends.OpenOptions) (backends.Backend, error) { return &giver{}, nil }, scheme)
	synctest.Test(t, func(t *testing.T) {
		p := &plan{
			settings: settings{backend: scheme + "://", log: slog.New(slog.NewTextHandler(io.Discard, nil))},
			key:      "k", timeout: time.Minute, expires: 10 * time.Second,
		}
		a := p.acquire(t.Context())
		if a.err != nil {
			t.Fatal(a.err)
		}
		if left := time.Until(a.hold.Deadline()); left < 10*time.Second {
			t.Errorf("the command would start %v before its hold's deadline, want 10s", left)
		}
		a.give()
	})
}
