package main

import (
	"context"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// vacant is a place where no key was ever held: the directory of a file:// backend
// that nobody has made yet. To look there must not make it.
type vacant struct{}

var (
	_ backends.Backend   = vacant{}
	_ backends.Inspector = vacant{}
	_ backends.Lister    = vacant{}
	_ backends.Revoker   = vacant{}
)

// Acquire is never called: who wants a key makes the directory.
func (vacant) Acquire(context.Context, backends.Request) (backends.Reply, error) {
	return backends.Reply{Outcome: backends.NotRun}, backends.ErrUnavailable
}

func (vacant) Renew(context.Context, backends.Attempt, time.Duration, uint64) (backends.Reply, error) {
	return backends.Reply{}, backends.ErrNotHeld
}

func (vacant) Release(context.Context, backends.Attempt) error { return backends.ErrNotHeld }

func (vacant) Close() error { return nil }

// Inspect says that the key is free, and that nobody waits for it: that much is known.
func (vacant) Inspect(context.Context, string) (backends.Info, error) {
	return backends.Info{Waiting: new(int)}, nil
}

func (vacant) List(context.Context, string) ([]string, error) { return nil, nil }

func (vacant) Revoke(context.Context, string, backends.Revocation) (backends.Revoked, error) {
	return backends.NobodyHolds, nil
}
