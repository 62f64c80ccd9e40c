package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Prepare(16)
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	// One more user than the suite's, so that the store outlives its sessions.
	open(t, t.Name())
	backendtest.Run(t, func(*testing.T) backends.Backend { return embedded.Open(t.Name()) })
}

func open(t testing.TB, name string) *embedded.Backend {
	t.Helper()
	b := embedded.Open(name)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// A session is a backend with what a coordinator adds to it.
type session struct {
	*embedded.Backend
	id    backends.Session
	last  uint64
	wakes chan backends.Wake
}

func newSession(t testing.TB, store string) *session {
	t.Helper()
	s := &session{Backend: open(t, store), id: backends.NewSession(), wakes: make(chan backends.Wake, 64)}
	wake := func(w backends.Wake) {
		select {
		case s.wakes <- w:
		default: // it must not block; a lost wake costs a heartbeat
		}
	}
	if err := s.Subscribe(s.id, wake); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) request(key string, ttl time.Duration, queue bool) backends.Request {
	s.last++
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: s.id.Token(s.last)},
		TTL:     ttl, Label: "label", Queue: queue,
	}
}

func (s *session) want(t testing.TB, o backends.Outcome, r backends.Request) backends.Reply {
	t.Helper()
	reply, err := s.Acquire(context.Background(), r)
	if err != nil || reply.Outcome != o {
		t.Fatalf("acquire: %v, %v, want %v", reply.Outcome, err, o)
	}
	return reply
}

func (s *session) woken(t testing.TB, want backends.Wake) {
	t.Helper()
	select {
	case w := <-s.wakes:
		if w != want {
			t.Fatalf("woken with %v, want %v", w, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no wake, want %v", want)
	}
}

func TestAStoreIsSharedByNameAndGoesWithItsLastUser(t *testing.T) {
	for _, name := range []string{"", t.Name()} {
		first, second := embedded.Open(name), embedded.Open(name)
		other := newSession(t, name+"-other")
		a := &session{Backend: first, id: backends.NewSession()}
		b := &session{Backend: second, id: backends.NewSession()}
		a.want(t, backends.Granted, a.request("k", time.Minute, false))
		b.want(t, backends.Held, b.request("k", time.Minute, false))
		other.want(t, backends.Granted, other.request("k", time.Minute, false))
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		b.want(t, backends.Held, b.request("k", time.Minute, false)) // the lease outlives its session
		if err := errors.Join(second.Close(), second.Close()); err != nil {
			t.Fatal(err)
		}
		anew := &session{Backend: open(t, name), id: backends.NewSession()}
		anew.want(t, backends.Granted, anew.request("k", time.Minute, false))
	}
}

func TestAClosedBackendSaysSo(t *testing.T) {
	s := &session{Backend: embedded.Open(t.Name()), id: backends.NewSession()}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r := s.request("k", time.Second, false)
	reply, acquiring := s.Acquire(t.Context(), r)
	if reply.Outcome != backends.NotRun {
		t.Errorf("acquire: %v", reply.Outcome)
	}
	_, renewing := s.Renew(t.Context(), r.Attempt, time.Second, 0)
	_, inspecting := s.Inspect(t.Context(), "k")
	for verb, err := range map[string]error{
		"acquire": acquiring, "renew": renewing, "release": s.Release(t.Context(), r.Attempt),
		"cancel": s.Cancel(t.Context(), r.Attempt), "inspect": inspecting, "subscribe": s.Subscribe(s.id, nil),
	} {
		if !errors.Is(err, backends.ErrClosed) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestAnEndedContextRunsNothing(t *testing.T) {
	s := newSession(t, t.Name())
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	reply, err := s.Acquire(ctx, s.request("k", time.Minute, false))
	if reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, cause) {
		t.Errorf("%v, %v", reply.Outcome, err)
	}
	s.want(t, backends.Granted, s.request("k", time.Minute, false))
}

func TestASettledAttemptDidNotRun(t *testing.T) {
	s := newSession(t, t.Name())
	r := s.request("k", time.Minute, false)
	over := r.Attempt
	over.Ambiguous = true
	if err := s.Cancel(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	reply, err := s.Acquire(t.Context(), r)
	if reply.Outcome != backends.NotRun || !errors.Is(err, backends.ErrSettled) || backends.IsRefused(err) {
		t.Errorf("%v, %v", reply.Outcome, err)
	}
}

func TestALeaseRoundsUpAndEnds(t *testing.T) {
	a, b := newSession(t, t.Name()), newSession(t, t.Name())
	if reply := a.want(t, backends.Granted, a.request("tiny", time.Microsecond, false)); reply.TTL != time.Millisecond {
		t.Errorf("1 µs became %v", reply.TTL)
	}
	if reply := a.want(t, backends.Granted, a.request("odd", 1500*time.Microsecond, false)); reply.TTL != 2*time.Millisecond {
		t.Errorf("1.5 ms became %v", reply.TTL)
	}
	a.want(t, backends.Granted, a.request("k", 40*time.Millisecond, false))
	start := time.Now()
	r := b.request("k", time.Minute, true)
	for tries := 0; ; tries++ {
		reply, err := b.Acquire(t.Context(), r)
		if err != nil || tries > 3 {
			t.Fatalf("after %d tries: %v", tries, err)
		}
		if reply.Outcome == backends.Granted {
			break
		}
		<-time.After(reply.Retry) // the contract's own pace
	}
	if took := time.Since(start); took < 35*time.Millisecond || took > time.Minute {
		t.Errorf("granted %v after a grant of 40 ms", took)
	}
}

func TestInspectTellsWhatIsKnown(t *testing.T) {
	a, b := newSession(t, t.Name()), newSession(t, t.Name())
	info, err := a.Inspect(t.Context(), "k")
	if err != nil || info.Held || info.Holder != nil || info.Base != nil || info.ExpiresIn != nil || *info.Waiting != 0 {
		t.Errorf("a free key: %+v, %v", info, err)
	}
	granted := a.want(t, backends.Granted, a.request("k", time.Minute, true))
	b.want(t, backends.Held, b.request("k", time.Minute, true))
	info, err = b.Inspect(t.Context(), "k")
	if err != nil || !info.Held || info.Foreign || *info.Holder != "label" || *info.Base != granted.Base || *info.Waiting != 1 ||
		*info.ExpiresIn > time.Minute || *info.ExpiresIn < 50*time.Second || *info.HeldFor > 10*time.Second {
		t.Errorf("a held key: %+v, %v", info, err)
	}
}

// A wake may lead straight to the next call of the woken session.
// Whoever gives the lease back queues up again at the end: five rounds of eight
// sessions, in the order in which they came.
// await repeats an attempt at wakes and at the backend's own pace.
