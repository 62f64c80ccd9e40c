//go:build linux || darwin

package file

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest/history"
)

// someKind is an attempt of any kind.
func (c *claims) someKind(key string) backends.Request {
	switch rand.N(4) {
	case 0:
		return c.request(key)
	case 1:
		return c.reader(key)
	}
	n := 1 + rand.N(3)
	return c.taker(key, n, n)
}

// use has a key for a moment, and returns what it saw.
func use(b *Backend, r backends.Request, began time.Time) (h history.Hold, err error) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	now := func() int64 { return 1 + int64(time.Since(began)) }
	h.Asked = now()
	var reply backends.Reply
	for reply.Outcome != backends.Granted {
		if reply, err = b.Acquire(ctx, r); err != nil {
			return h, err
		}
		if reply.Outcome == backends.Held {
			err = b.nap(ctx, reply.Retry)
		}
		if r.Probe++; err != nil {
			return h, err
		}
	}
	h.Kind, h.N, h.Fence, h.Granted = reply.Kind, r.N, reply.Base, now()
	time.Sleep(rand.N(time.Millisecond)) // what it does with the key
	h.Ended = now()
	if rand.N(3) == 0 { // which may fail while the record is missing: the hold goes on for its time
		if _, err := b.RenewShare(ctx, r, 0); err == nil {
			h.Ended = now()
		}
	}
	err = b.Release(ctx, r.Attempt)
	if backends.IsNotHeld(err) {
		err = nil
	}
	return h, err
}

// TestKindsKeepApartWhileFilesAreRemoved is TestNobodyGetsInWhileFilesAreRemoved for holds of all kinds.
func TestKindsKeepApartWhileFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var removing, working sync.WaitGroup
	removed := 0
	removing.Go(func() { // stopped by ctx; waited for below
		for ctx.Err() == nil {
			names, err := os.ReadDir(dir)
			if err == nil && len(names) > 0 && os.Remove(filepath.Join(dir, names[rand.N(len(names))].Name())) == nil {
				removed++
			}
			time.Sleep(rand.N(time.Millisecond)) // so that calls get through at all
		}
	})
	var mu sync.Mutex // protects seen
	var seen []history.Hold
	began := time.Now()
	for process := range 6 {
		b := open(t, dir)
		marked(t, b)
		working.Go(func() { // stopped by its rounds; waited for below
			var c claims
			for range 80 {
				h, err := use(b, c.someKind("k"), began)
				if err != nil {
					t.Error(err)
					return
				}
				h.Process = process
				mu.Lock()
				seen = append(seen, h)
				mu.Unlock()
			}
		})
	}
	working.Wait()
	stop()
	removing.Wait()
	if err := history.Overlaps(seen, nil); err != nil {
		t.Error(err)
	}
	if err := history.Fences(seen); err != nil {
		t.Error(err)
	}
	if removed < 100 {
		t.Errorf("only %d files were removed meanwhile: the test shows little", removed)
	}
}
