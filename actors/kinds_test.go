package actors

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A sharer grants whatever is asked for, and notes what that was.
type sharer struct {
	calls []backends.Call // written by one key's calls, one at a time
	fails int             // so many renewals of shares are not answered
}

func (s *sharer) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: "sharer", Exclusive: true, Wakes: true, Kinds: true}
}

func (s *sharer) took(verb backends.Verb, r backends.Request) backends.Reply {
	s.calls = append(s.calls, backends.Call{Verb: verb, Request: r})
	return backends.Reply{
		Outcome: backends.Granted, Base: uint64(1000 + len(s.calls)), TTL: r.TTL, Kind: r.Kind, Permits: max(r.Want, 1),
	}
}

func (s *sharer) Acquire(_ context.Context, r backends.Request) (backends.Reply, error) {
	return s.took(backends.Acquiring, r), nil
}

func (s *sharer) Renew(_ context.Context, a backends.Attempt, ttl time.Duration, _ uint64) (backends.Reply, error) {
	if a.Kind != backends.Exclusive {
		return backends.Reply{}, errors.New("a share is renewed as a lock")
	}
	return s.took(backends.Renewing, backends.Request{Attempt: a, TTL: ttl}), nil
}

func (s *sharer) RenewShare(_ context.Context, r backends.Request, _ uint64) (backends.Reply, error) {
	reply := s.took(backends.Renewing, r)
	if s.fails > 0 {
		s.fails--
		return backends.Reply{}, backends.Unavailable("sharer", context.DeadlineExceeded)
	}
	return reply, nil
}

func (s *sharer) Release(_ context.Context, a backends.Attempt) error {
	s.took(backends.Releasing, backends.Request{Attempt: a})
	return nil
}

func (s *sharer) Close() error { return nil }

// A startedSharer starts its calls.
type startedSharer struct{ *sharer }

func (s startedSharer) Start(c backends.Call, to backends.Asker) func() {
	return func() { to.Answered(s.took(c.Verb, c.Request), nil) }
}

// kindsOf tells the verbs, kinds and permits of calls.
func kindsOf(calls []backends.Call) (all []string) {
	for _, c := range calls {
		words := c.Verb.String() + " " + c.Kind.String()
		if c.N > 0 {
			words += " " + string(rune('0'+c.Want)) + " of " + string(rune('0'+c.N))
		}
		all = append(all, words)
	}
	return all
}

// TestCallsSayTheirKind, by the verbs that block and by those that are started.
func TestCallsSayTheirKind(t *testing.T) {
	for name, started := range map[string]bool{"blocking": false, "started": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(sharer)
				var b backends.Backend = s
				if started {
					b = startedSharer{s}
				}
				c := newCoordinator(t, b, Config{})
				for _, spec := range []Spec{{}, {Kind: backends.Shared}, {Kind: backends.Slots, N: 3}} {
					spec.Expires = time.Minute
					h := hold(t, c, spec)
					if h.Kind() != spec.Kind {
						t.Errorf("it is %v, want %v", h.Kind(), spec.Kind)
					}
					if err := h.Extend(2 * time.Minute); err != nil {
						t.Error(err)
					}
					if err := h.Release(); err != nil {
						t.Error(err)
					}
				}
				want := []string{
					"acquire exclusive", "renew exclusive", "release exclusive",
					"acquire shared", "renew shared", "release shared",
					"acquire slots 1 of 3", "renew slots 1 of 3", "release slots",
				}
				if got := kindsOf(s.calls); !slices.Equal(got, want) {
					t.Errorf("\ngot  %q\nwant %q", got, want)
				}
			})
		})
	}
}

// TestDowngrade: it waits for the renewal that says so, and each later call says it as well.
func TestDowngrade(t *testing.T) {
	for name, started := range map[string]bool{"blocking": false, "started": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sharer{fails: 1}
				var b backends.Backend = s
				if started {
					b = startedSharer{s}
				}
				c := newCoordinator(t, b, Config{})
				h := hold(t, c, Spec{Expires: time.Minute})
				for range 2 {
					if err := h.Downgrade(); err != nil || h.Kind() != backends.Shared {
						t.Fatalf("downgraded, it is %v: %v", h.Kind(), err)
					}
				}
				other := hold(t, c, Spec{Kind: backends.Shared, Expires: time.Second})
				for _, o := range []*Hold{other, h} {
					if err := o.Release(); err != nil {
						t.Error(err)
					}
				}
				if err := h.Downgrade(); !errors.Is(err, backends.ErrNotHeld) {
					t.Errorf("of one that has ended: %v", err)
				}
				want := []string{"acquire exclusive", "renew shared", "renew shared", "release shared"}
				if started {
					want = slices.Delete(want, 2, 3) // none of its calls fails
				}
				if got := kindsOf(s.calls); !slices.Equal(got, want) {
					t.Errorf("\ngot  %q\nwant %q", got, want)
				}
			})
		})
	}
}

// TestDowngradeUnanswered: after 2 s the caller knows, and the hold is shared all the same.
func TestDowngradeUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &sharer{fails: 1 << 30}, Config{})
		h := hold(t, c, Spec{Expires: time.Minute})
		began := time.Now()
		if err := h.Downgrade(); !errors.Is(err, backends.ErrUnavailable) || h.Kind() != backends.Shared || time.Since(began) != 2*time.Second {
			t.Errorf("after %v it is %v: %v", time.Since(began), h.Kind(), err)
		}
		other := begin(t, c, Spec{Kind: backends.Shared, Expires: time.Second, Timeout: 3 * time.Second})
		if _, err := other.Wait(nil); !errors.Is(err, backends.ErrTimeout) && err != nil {
			t.Error(err)
		}
		if err := h.Release(); err != nil {
			t.Error(err)
		}
	})
}

// TestNoKinds: a backend that does not declare them is not asked.
func TestNoKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, new(grantAll), Config{})
		for _, k := range []backends.Kind{backends.Shared, backends.Slots} {
			if err := c.Begin(new(Hold), "k", Spec{Kind: k, N: 1, Expires: time.Minute}); !errors.Is(err, backends.ErrInvalid) {
				t.Errorf("%v: %v", k, err)
			}
		}
		h := hold(t, c, Spec{Expires: time.Minute})
		if err := h.Downgrade(); !errors.Is(err, backends.ErrInvalid) || h.Kind() != backends.Exclusive {
			t.Errorf("it is %v: %v", h.Kind(), err)
		}
		if err := h.Release(); err != nil {
			t.Error(err)
		}
	})
}

// TestBeginWithin: a shared hold joins its caller's, and any other that would wait for that is refused.
func TestBeginWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, new(sharer), Config{})
		parent := hold(t, c, Spec{Kind: backends.Shared, Expires: time.Minute})
		for _, row := range []struct {
			spec Spec
			want error
		}{{Spec{Kind: backends.Shared}, nil}, {Spec{}, backends.ErrDeadlock}, {Spec{Timeout: time.Hour}, backends.ErrDeadlock}} {
			row.spec.Expires = time.Second
			h := new(Hold)
			if err := c.BeginWithin(h, parent, "k", row.spec); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Wait(nil); !errors.Is(err, row.want) {
				t.Errorf("%+v: %v, want %v", row.spec, err, row.want)
			} else if err == nil {
				if err := h.Release(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := parent.Release(); err != nil {
			t.Error(err)
		}
	})
}
