package open_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/open"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backends.Backend { return open.New(nil) })
}

func TestItSaysOnceThatItDoesNotExclude(t *testing.T) {
	var log bytes.Buffer
	b := open.New(slog.New(slog.NewTextHandler(&log, nil)))
	session := backends.NewSession()
	for n := uint64(1); n < 20; n++ {
		r := backends.Request{Attempt: backends.Attempt{Key: "k", Token: session.Token(n)}, TTL: time.Second}
		if _, err := b.Acquire(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 || !strings.Contains(log.String(), "never excludes") {
		t.Errorf("%d warnings, want 1 that says it never excludes: %s", got, &log)
	}
}

func TestBasesGrowAmongGoroutines(t *testing.T) {
	const goroutines, each = 8, 2000
	b := open.New(nil)
	bases := make(chan uint64, goroutines*each)
	for range goroutines {
		// Stopped by its rounds; waited for by the receives below.
		go func() {
			session, last := backends.NewSession(), uint64(0)
			for n := range uint64(each) {
				reply, err := b.Acquire(t.Context(), backends.Request{Attempt: backends.Attempt{Key: "k", Token: session.Token(n + 1)}})
				if err != nil || reply.Base <= last {
					t.Errorf("base %d after %d, %v", reply.Base, last, err)
				}
				last = reply.Base
				bases <- last
			}
		}()
	}
	seen := make(map[uint64]bool)
	for range goroutines * each {
		base := <-bases
		if seen[base] {
			t.Fatalf("base %d was minted twice", base)
		}
		seen[base] = true
	}
}
