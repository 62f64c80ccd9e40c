package lockclient

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A handler is the user's slog handler: it keeps what it gets, and first does
// whatever a test wants of it.
type handler struct {
	first func()

	mu      sync.Mutex // protects what follows
	records []slog.Record
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }
func (h *handler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *handler) WithGroup(string) slog.Handler            { return h }
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	if h.first != nil {
		h.first()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	return nil
}

// said returns the records whose message contains part.
func (h *handler) said(part string) []slog.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []slog.Record
	for _, r := range h.records {
		if strings.Contains(r.Message, part) {
			found = append(found, r)
		}
	}
	return found
}

// attrs are those of a record, by their keys.
func attrs(r slog.Record) map[string]any {
	all := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		all[a.Key] = a.Value.Any()
		return true
	})
	return all
}

// A hold was over late, and its key and the client stood still, when the user's log
// blocked on a full pipe, panicked, or looked at the client.
func TestNoHandlerOfTheUsersIsWaitedFor(t *testing.T) {
	for name, first := range map[string]func(t *testing.T, c *Client, gate <-chan struct{}){
		"blocks":     func(_ *testing.T, _ *Client, gate <-chan struct{}) { <-gate },
		"panics":     func(*testing.T, *Client, <-chan struct{}) { panic("a fault in the user's logger") },
		"calls back": func(t *testing.T, c *Client, _ <-chan struct{}) { callBack(t, c) },
		"closes":     func(_ *testing.T, c *Client, _ <-chan struct{}) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const expires = 3 * time.Second
				gate := make(chan struct{})
				h := &handler{}
				fake := newFake(newStore(), 1, faults{})
				c, err := New(fake, Config{KeyPrefix: NoPrefix, Logger: slog.New(h)})
				if err != nil {
					t.Fatal(err)
				}
				h.first = func() { first(t, c, gate) }
				lock := acquire(t, c, "k", Expires(expires), Renew())
				time.Sleep(expires / 2) // virtual: it was renewed
				fake.kill(true)
				ctx, deadline := lock.Context(), lock.Deadline()
				<-ctx.Done()
				if late := time.Since(deadline); late > 0 {
					t.Errorf("the hold's end came %v after its deadline", late)
				}
				fake.kill(false)
				if name != "closes" {
					for _, key := range []string{"k", "another"} {
						release(t, acquire(t, c, key, Timeout(2*expires)))
					}
				}
				start := time.Now()
				_ = c.Close() // what it says of leases is another test's
				if took := time.Since(start); took > time.Second {
					t.Errorf("Close took %v", took)
				}
				close(gate)
			})
		})
	}
}

// callBack uses a client as a handler might that adds to a record what it can learn.
func callBack(t *testing.T, c *Client) {
	if _, err := c.Inspect(context.Background(), "k"); err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("inspect: %v", err)
	}
	for range c.Keys() {
		continue
	}
	if lock, err := c.TryAcquire(context.Background(), "k"); err == nil {
		_ = lock.Release() // it may end meanwhile
	}
	_ = c.Stats()
}
