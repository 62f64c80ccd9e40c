// Package open is the backend that never excludes: every acquire is granted
// at once, also while others hold the key. It is for programs that must run
// without coordination for a while, and for measuring what coordination costs.
package open

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/logqueue"
)

const name = "open"

// A Backend grants everything. It keeps nothing of a lease, so any release is
// good news and any renewal succeeds, also for a token that it never saw.
//
// Its bases grow for as long as it lives, in the order of the grants. Another
// process, and another Backend in this one, mint theirs from the same clock but
// know nothing of each other; so it does not declare Fences.
type Backend struct {
	last   atomic.Uint64 // the newest base, of all keys together
	closed atomic.Bool
}

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
)

// New warns once that nothing is going to be excluded: whoever reads the log
// of two jobs that ran into each other should find the reason there. A nil
// logger is silent; one that blocks is waited for at most 250 ms.
func New(logger *slog.Logger) *Backend {
	logger, closeLog := logqueue.Wrap(logger)
	logger.Warn("open:// never excludes: every acquire is granted at once, also while others hold the key")
	closeLog()
	return &Backend{}
}

// Acquire grants, unless the backend is closed or ctx has ended.
func (b *Backend) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	if err := b.ready(ctx); err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	return backends.Reply{Outcome: backends.Granted, Base: b.mint(), TTL: r.TTL}, nil
}

// Renew always succeeds on an open backend.
func (b *Backend) Renew(ctx context.Context, _ backends.Attempt, ttl time.Duration, _ uint64) (backends.Reply, error) {
	if err := b.ready(ctx); err != nil {
		return backends.Reply{Outcome: backends.NotRun}, err
	}
	return backends.Reply{Outcome: backends.Granted, Base: b.mint(), TTL: ttl}, nil
}

// Release has nothing to give back.
func (b *Backend) Release(ctx context.Context, _ backends.Attempt) error { return b.ready(ctx) }

// Close makes later calls fail, as on any other backend.
func (b *Backend) Close() error {
	b.closed.Store(true)
	return nil
}

// Capabilities says that nothing is excluded.
func (b *Backend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: name, Immediate: true}
}

func (b *Backend) ready(ctx context.Context) error {
	if b.closed.Load() {
		return backends.ErrClosed
	}
	if ctx.Err() != nil {
		return backends.Interrupted(ctx, name)
	}
	return nil
}

// mint returns max(time in µs, last + 1), and remembers it. The loop ends
// because a lost race means that somebody else moved last forward.
func (b *Backend) mint() uint64 {
	for {
		last := b.last.Load()
		base := max(uint64(time.Now().UnixMicro()), last+1)
		if b.last.CompareAndSwap(last, base) {
			return base
		}
	}
}
