package lockclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A handler is the user's slog handler: it keeps what it gets.
type handler struct {
	mu      sync.Mutex // protects what follows
	records []slog.Record
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }
func (h *handler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *handler) WithGroup(string) slog.Handler            { return h }
func (h *handler) Handle(_ context.Context, r slog.Record) error {
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

// The README's own example, with work longer than its Expires, said nothing anywhere.
func TestAHoldThatEndsBeforeItsReleaseIsToldAndCounted(t *testing.T) {
	const expires, work = 3 * time.Second, 5 * time.Second
	type want struct {
		first   string
		expired uint64
		losses  uint64
		overrun time.Duration
	}
	for name, row := range map[string]struct {
		do   func(t *testing.T, c *Client, f *fakeBackend)
		opts []Option
		want want
	}{
		"expired":    {nil, nil, want{"expired", 1, 0, work - expires}},
		"its bound":  {nil, []Option{Renew(), MaxHold(4 * time.Second)}, want{"expired", 1, 0, time.Second}},
		"lost":       {func(_ *testing.T, _ *Client, f *fakeBackend) { f.store.forget("k") }, []Option{Renew()}, want{"lost", 0, 1, work}},
		"in time":    {nil, []Option{Renew()}, want{}},
		"long":       {nil, []Option{Expires(work + time.Second)}, want{}},
		"revoked":    {revokeNow(false), []Option{Renew()}, want{"revoked", 0, 1, work - expires}},
		"taken away": {revokeNow(true), []Option{Renew()}, want{"revoked", 0, 1, work}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &handler{}
				f := newFake(newStore(), 1, faults{})
				c := newOver(t, f, Config{Logger: slog.New(h)})
				lock := acquire(t, c, "k", append([]Option{Expires(expires), Owner("the job")}, row.opts...)...)
				if row.do != nil {
					row.do(t, c, f)
				}
				time.Sleep(work) // virtual
				_ = lock.Release()
				if err := lock.Release(); !errors.Is(err, ErrNotHeld) {
					t.Errorf("a second release: %v", err)
				}
				time.Sleep(time.Millisecond) // virtual: the log has it
				wantTold(t, h, row.want.first, row.want.overrun)
				if s := c.Stats(); s.Expired != row.want.expired || s.Losses != row.want.losses {
					t.Errorf("%d expired, %d lost; want %d, %d", s.Expired, s.Losses, row.want.expired, row.want.losses)
				}
			})
		})
	}
}

func revokeNow(now bool) func(*testing.T, *Client, *fakeBackend) {
	return func(t *testing.T, c *Client, _ *fakeBackend) {
		if _, err := c.Revoke(t.Context(), "k", Revocation{Now: now}); err != nil {
			t.Error(err)
		}
	}
}

// wantTold checks the lines of one hold: how it ended, and how long it was overrun.
func wantTold(t *testing.T, h *handler, first string, overrun time.Duration) {
	t.Helper()
	var want []string
	if first != "" {
		want = append(want, "hold "+first)
	}
	if overrun > 0 {
		want = append(want, "hold released after its end")
	}
	all := h.said("")
	if len(all) != len(want) {
		t.Fatalf("the log has %d lines, want %q", len(all), want)
	}
	for i, r := range all {
		a := attrs(r)
		if !strings.HasPrefix(r.Message, want[i]) || r.Level != slog.LevelWarn || a["key"] != "k" || a["owner"] != "the job" || a["fence"] == nil {
			t.Errorf("%v %q %v, want a warning %q of the job on k", r.Level, r.Message, a, want[i])
		}
	}
	if overrun > 0 {
		within := 30 * time.Millisecond
		if first == "lost" {
			within = 3 * time.Second / 2 // it is met at a renewal
		}
		if got := attrs(all[1])["overrun"].(time.Duration); got > overrun || got < overrun-within {
			t.Errorf("overrun %v, want %v", got, overrun)
		}
	}
}

// An operator heard of an outage when the holds were gone.
func TestRenewalsThatFailAreToldEarlyAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const expires = time.Minute
		h := &handler{}
		f := newFake(newStore(), 1, faults{})
		c := newOver(t, f, Config{Logger: slog.New(h)})
		locks := map[string]*Lock{}
		for _, key := range []string{"a", "b", "c"} {
			locks[key] = acquire(t, c, key, Expires(expires), Renew())
		}
		plain := acquire(t, c, "plain", Expires(expires))
		f.kill(true)
		time.Sleep(expires/3 + 2*time.Second) // virtual: the first renewals have failed for two seconds and more
		early := h.said("no answer from custom for")
		if len(early) == 0 {
			t.Fatal("two seconds of failing renewals, and nothing was said")
		}
		var since, left float64
		var key string
		if _, err := fmt.Sscanf(early[0].Message, "no answer from custom for %f s, the hold of %q ends in %f s", &since, &key, &left); err != nil {
			t.Fatalf("%q: %v", early[0].Message, err)
		}
		if ends := locks[key].Deadline().Sub(early[0].Time).Seconds(); since <= 0 || since > 1 || left > ends+1 || left < ends-1 {
			t.Errorf("%q, and it ends in %.1f s", early[0].Message, ends)
		}
		if a := attrs(early[0]); a["key"] != key || a["owner"] == nil || a["cause"] == nil {
			t.Errorf("%v", a)
		}
		time.Sleep(30 * time.Second) // virtual
		wantSeldom(t, h.said("no answer"))
		f.kill(false)
		time.Sleep(time.Second) // virtual
		n := len(h.said(""))
		time.Sleep(expires) // virtual
		if more := len(h.said("no answer")) + len(h.said("lost")); more > n {
			t.Errorf("%d lines after the outage", more-n)
		}
		for _, lock := range locks {
			release(t, lock)
		}
		if err := plain.Release(); !errors.Is(err, ErrNotHeld) {
			t.Errorf("the hold that nobody renews: %v", err)
		}
	})
}

// wantSeldom checks how far apart the lines of failing renewals are: as long as the
// outage that the first of two tells of, from a second to five; and no further than
// that and the time until the next renewal fails, which is shorter.
func wantSeldom(t *testing.T, lines []slog.Record) {
	t.Helper()
	for i := 1; i < len(lines); i++ {
		var since float64 // rounded to a tenth
		if _, err := fmt.Sscanf(lines[i-1].Message, "no answer from custom for %f s,", &since); err != nil {
			t.Fatalf("%q: %v", lines[i-1].Message, err)
		}
		least := time.Duration(min(max(since, 1), 5) * float64(time.Second))
		if pause := lines[i].Time.Sub(lines[i-1].Time); pause < least-50*time.Millisecond || pause > 2*5*time.Second {
			t.Errorf("%v after %q: %q", pause, lines[i-1].Message, lines[i].Message)
		}
	}
	if len(lines) < 3 {
		t.Errorf("%d lines in half a minute", len(lines))
	}
}
