package backends_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrorsMatchWhatTheyWrap(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	for _, tt := range []struct {
		name  string
		err   error
		is    []error
		isNot []error
	}{
		{"unavailable", backends.Unavailable("redis", io.EOF), []error{backends.ErrUnavailable, io.EOF}, []error{backends.ErrRefused}},
		{"refused", backends.Refused("redis", "check the password", io.EOF), []error{backends.ErrUnavailable, backends.ErrRefused, io.EOF}, []error{backends.ErrNotHeld}},
		{"wrapped", backends.Wrap(backends.ErrLost, "no renewal", backends.Unavailable("redis", io.EOF)), []error{backends.ErrLost, backends.ErrUnavailable, io.EOF}, []error{backends.ErrRefused}},
		{"cancelled", backends.Interrupted(ctx, "redis"), []error{backends.ErrUnavailable, context.Canceled}, []error{context.DeadlineExceeded}},
		{"too late", backends.Interrupted(late, "redis"), []error{backends.ErrUnavailable, context.DeadlineExceeded}, []error{context.Canceled}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, want := range tt.is {
				if !errors.Is(tt.err, want) {
					t.Errorf("%v does not match %v", tt.err, want)
				}
			}
			for _, other := range tt.isNot {
				if errors.Is(tt.err, other) {
					t.Errorf("%v matches %v", tt.err, other)
				}
			}
		})
	}
}

// However often an error was wrapped, a log shows the module's name once, in front.
func TestErrorsSayTheModulesNameOnce(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(backends.ErrExpired)
	for _, err := range []error{
		backends.Unavailable("redis", io.EOF),
		backends.Unavailable("redis", backends.ErrClosed),
		backends.Refused("redis", "check the password", io.EOF),
		backends.Refused("redis", "check the password", backends.Unavailable("redis", io.EOF)),
		backends.Interrupted(ctx, "redis"),
		backends.Wrap(backends.ErrLost, "", backends.Refused("redis", "check the password", io.EOF)),
		backends.Wrap(backends.ErrUnavailable, "not extended", backends.ErrLost),
	} {
		if s := err.Error(); strings.Count(s, "turnstile:") != 1 || !strings.HasPrefix(s, "turnstile: ") {
			t.Errorf("%q, want the name once, in front", s)
		}
	}
}

// What a cause says of its kind and its backend is not said again in front of it.
func TestErrorsDontRepeatThemselves(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{backends.Unavailable("redis", errors.New("redis: pool timeout")), "turnstile: backend unavailable: redis: pool timeout"},
		{backends.Unavailable("redis", backends.Unavailable("redis", io.EOF)), "turnstile: backend unavailable: redis: EOF"},
		{backends.Wrap(backends.ErrUnavailable, `"k" was not extended`, backends.Unavailable("redis", io.EOF)), `turnstile: backend unavailable: "k" was not extended: redis: EOF`},
		{backends.Wrap(backends.ErrInvalid, "", fmt.Errorf("%w: empty key", backends.ErrInvalid)), "turnstile: invalid: empty key"},
		{backends.Wrap(backends.ErrLost, "", backends.ErrLost), "turnstile: hold lost"},
	} {
		if got := row.err.Error(); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}

func TestReasonsAreFoundInErrors(t *testing.T) {
	for r := backends.Loading; r <= backends.WrongServer; r++ {
		if r.Error() == "" || r.Error() == backends.Reason(0).Error() {
			t.Errorf("reason %d has no words", r)
		}
		passing := backends.Unavailable("redis", fmt.Errorf("the server says: no: %w", r))
		staying := backends.Refused("redis", "do something", fmt.Errorf("the server says: no: %w", r))
		for _, err := range []error{passing, staying} {
			if !errors.Is(err, r) || errors.Is(err, r+1) {
				t.Errorf("%v does not match its reason alone", err)
			}
		}
		if !backends.IsPassing(passing) || backends.IsPassing(staying) || backends.IsPassing(backends.Unavailable("redis", io.EOF)) {
			t.Errorf("%v: passing %v, refused %v; no answer at all is neither", r, backends.IsPassing(passing), backends.IsPassing(staying))
		}
	}
}

// The contract says that an interrupted call keeps ctx.Err() visible, and a
// cause given by the caller must not hide it.
func TestInterruptedKeepsTheContextsErrorBesideItsCause(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err := backends.Interrupted(ctx, "redis")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Errorf("%v matches context.Canceled %t, its cause %t", err, errors.Is(err, context.Canceled), errors.Is(err, cause))
	}
}

func TestOutcomesNameThemselves(t *testing.T) {
	var zero backends.Outcome
	if zero != backends.MayHaveRun {
		t.Error("the zero outcome promises something")
	}
	for outcome, want := range map[backends.Outcome]string{
		backends.MayHaveRun: "may have run",
		backends.NotRun:     "did not run",
		backends.Held:       "held by another",
		backends.Granted:    "granted",
		backends.Outcome(9): "unknown outcome",
	} {
		if got := outcome.String(); got != want {
			t.Errorf("outcome %d is called %q, want %q", outcome, got, want)
		}
	}
}

// plain has no optional interface; release is what it answers.
type plain struct{ release error }

func (plain) Acquire(context.Context, backends.Request) (backends.Reply, error) {
	return backends.Reply{}, nil
}

func (plain) Renew(context.Context, backends.Attempt, time.Duration, uint64) (backends.Reply, error) {
	return backends.Reply{}, nil
}
func (p plain) Release(context.Context, backends.Attempt) error { return p.release }
func (plain) Close() error                                      { return nil }

// canceler has its own way to cancel.
type canceler struct {
	plain
	cancel error
}

func (c canceler) Cancel(context.Context, backends.Attempt) error { return c.cancel }

func TestCancelWithoutACancelerIsARelease(t *testing.T) {
	down := backends.Unavailable("plain", io.EOF)
	for _, tt := range []struct {
		name string
		b    backends.Backend
		want error
	}{
		{"released", plain{}, nil},
		{"not held is good news", plain{backends.ErrNotHeld}, nil},
		{"any other error is not", plain{down}, down},
		{"a canceler is asked itself", canceler{plain{down}, nil}, nil},
		{"and its error is kept", canceler{plain{}, down}, down},
	} {
		if err := backends.Cancel(t.Context(), tt.b, backends.Attempt{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWhatDeclaresNothingExcludes(t *testing.T) {
	want := backends.Capabilities{Name: "custom", Exclusive: true}
	if got := backends.Describe(plain{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
