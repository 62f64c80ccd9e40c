package lockclient

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A program whose ctx lasts five minutes was told after one that the key was not to be
// had: the default of 60 s is for those who say nothing.
func TestTheDefaultTimeoutIsForThoseWhoSayNothing(t *testing.T) {
	const ctxLasts, configured, given = 5 * time.Minute, 2 * time.Minute, 3 * time.Minute
	for _, row := range []struct {
		name     string
		cfg      time.Duration
		deadline bool
		opts     []Option
		want     time.Duration
	}{
		{"nothing said", 0, false, nil, DefaultTimeout},
		{"ctx's deadline", 0, true, nil, ctxLasts},
		{"Config.Timeout", configured, false, nil, configured},
		{"Config.Timeout and ctx's deadline", configured, true, nil, configured},
		{"the option", configured, true, []Option{Timeout(given)}, given},
		{"the option, longer than ctx", 0, true, []Option{Timeout(time.Hour)}, ctxLasts},
		{"Forever and ctx's deadline", configured, true, []Option{Timeout(Forever)}, ctxLasts},
		{"Forever", configured, false, []Option{Timeout(Forever)}, heldFor},
		{"Forever as Config.Timeout", Forever, false, nil, heldFor},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newOver(t, newFake(newStore(), 1, faults{}), Config{Timeout: row.cfg})
				lock := acquire(t, c, "k", Expires(MaxExpires))
				time.AfterFunc(heldFor, func() { release(t, lock) })
				ctx := t.Context()
				if row.deadline {
					var cancel func()
					ctx, cancel = context.WithTimeout(ctx, ctxLasts)
					defer cancel()
				}
				start := time.Now()
				next, err := c.Acquire(ctx, "k", row.opts...)
				if took := time.Since(start); took < row.want || took > row.want+250*time.Millisecond {
					t.Errorf("it waited %v, want %v: %v", took, row.want, err)
				}
				if granted := row.want == heldFor; granted != (err == nil) || !granted && !errors.Is(err, ErrTimeout) {
					t.Errorf("%v", err)
				}
				_ = next.Release() // ErrNotHeld, if there is none
				time.Sleep(heldFor)
			})
		})
	}
}

// heldFor is how long somebody has the key that is waited for.
const heldFor = time.Hour

// A function that took longer than Expires ran beside the next one.
func TestWhichHoldsAreRenewed(t *testing.T) {
	long := 5 * DefaultExpires
	run := func(how func(*testing.T, *Client, ...Option) time.Duration, cfg Config, opts ...Option) func(*testing.T) time.Duration {
		return func(t *testing.T) time.Duration {
			return how(t, newOver(t, newFake(newStore(), 1, faults{}), cfg), opts...)
		}
	}
	do := func(t *testing.T, c *Client, opts ...Option) (lasted time.Duration) {
		start := time.Now()
		err := c.Do(t.Context(), "k", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(long):
			}
			lasted = time.Since(start)
			return nil
		}, opts...)
		if errors.Is(err, ErrNotHeld) != (lasted < long) {
			t.Errorf("Do after %v: %v", lasted, err)
		}
		return lasted
	}
	hold := func(t *testing.T, c *Client, opts ...Option) time.Duration {
		start := time.Now()
		lock := acquire(t, c, "k", opts...)
		select {
		case <-lock.Context().Done():
		case <-time.After(long):
		}
		lasted := time.Since(start)
		if err := lock.Release(); errors.Is(err, ErrNotHeld) != (lasted < long) {
			t.Errorf("release after %v: %v", lasted, err)
		}
		return lasted
	}
	for name, row := range map[string]struct {
		lasts func(*testing.T) time.Duration
		want  time.Duration
	}{
		"Do":                                    {run(do, Config{}), long},
		"Do, NoRenew":                           {run(do, Config{}, NoRenew()), DefaultExpires},
		"Do, MaxHold":                           {run(do, Config{}, MaxHold(2*DefaultExpires)), 2 * DefaultExpires},
		"Acquire":                               {run(hold, Config{}), DefaultExpires},
		"Acquire, Renew":                        {run(hold, Config{}, Renew()), long},
		"Config.Renew, Acquire":                 {run(hold, Config{Renew: true}), long},
		"Config.Renew, Acquire, other options":  {run(hold, Config{Renew: true}, Timeout(time.Second)), long},
		"Config.Renew, Acquire, NoRenew":        {run(hold, Config{Renew: true}, NoRenew()), DefaultExpires},
		"Config.Renew, Acquire, MaxHold":        {run(hold, Config{Renew: true}, MaxHold(2*DefaultExpires)), 2 * DefaultExpires},
		"Config.Renew, Do, NoRenew":             {run(do, Config{Renew: true}, NoRenew()), DefaultExpires},
		"Acquire, NoRenew and Renew: the last":  {run(hold, Config{}, NoRenew(), Renew()), long},
		"Acquire, Renew, a MaxHold of no bound": {run(hold, Config{}, Renew(), MaxHold(0)), long},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := row.lasts(t); got != row.want {
					t.Errorf("the hold lasted %v, want %v", got, row.want)
				}
			})
		})
	}
}

// The label of one hold: all who ask this process see it, and others while its acquire's
// lease lasts.
func TestAHoldHasALabelOfItsOwn(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			url := b.open(t)
			c := openClient(t, Config{Backend: url, Owner: "the process", Linger: NoLinger})
			other := openClient(t, Config{Backend: url, Owner: "the other"})
			seenBy := func(c *Client) string {
				t.Helper()
				info, err := c.Inspect(t.Context(), "k")
				if err != nil || info.Holder == nil {
					t.Fatalf("%+v, %v", info, err)
				}
				return *info.Holder
			}
			first := acquire(t, c, "k", Owner("the nightly job"))
			next := make(chan *Lock, 1)
			go func() { next <- acquire(t, c, "k", Owner(strings.Repeat("n", 256))) }() // ends with its acquire
			if seenBy(c) != "the nightly job" || seenBy(other) != "the nightly job" {
				t.Errorf("seen here: %q, elsewhere: %q", seenBy(c), seenBy(other))
			}
			if all := slices.Collect(c.Keys()); len(all) != 1 || *all[0].Holder != "the nightly job" {
				t.Errorf("Keys: %+v", all)
			}
			for _, c := range []*Client{c, other} {
				var why *WaitError
				if _, err := c.TryAcquire(t.Context(), "k"); !errors.As(err, &why) || why.Holder != "the nightly job" {
					t.Errorf("%s is told %v", c.cfg.Owner, err)
				}
			}
			eventually(t, "the next waits", func() bool { return c.Stats().Waiters == 1 })
			release(t, first)
			second := <-next
			if got := seenBy(c); got != strings.Repeat("n", 256) {
				t.Errorf("after a handoff: %q", got)
			}
			if got := seenBy(other); got != "the nightly job" {
				t.Errorf("after a handoff, elsewhere: %q, want that of the acquire", got)
			}
			release(t, second)
			plain := acquire(t, c, "k")
			if seenBy(c) != "the process" || seenBy(other) != "the process" {
				t.Errorf("without a label of its own: %q here, %q elsewhere", seenBy(c), seenBy(other))
			}
			release(t, plain)
		})
	}
}
