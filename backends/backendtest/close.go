package backendtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// Close happens in shutdowns, twice at times, and beside calls under way.
func closeChecks() []check {
	return []check{
		{"closing again is nil", closeTwice, nil, nil},
		{"verbs after close fail and grant nothing", verbsAfterClose, nil, nil},
		{"close ends the calls under way", closeUnderWay, nil, nil},
		{"one session's close leaves the others at work", closeAlone, nil, nil},
	}
}

// closeTwice: a deferred Close after an explicit one is an idiom, and no error.
func closeTwice(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := a.free(r); err != nil {
		return err
	}
	return first(a.Close(), a.Close(), a.Close(), b.Close(), b.Close())
}

// over insists that an error says that the backend was closed.
func over(verb string, err error) error {
	if !errors.Is(err, backends.ErrClosed) && !errors.Is(err, backends.ErrUnavailable) {
		return fmt.Errorf("%s after close: got %v, want ErrClosed or ErrUnavailable", verb, err)
	}
	return nil
}

// verbsAfterClose insists on release, too: nil would claim that the lease is
// back, and nothing was sent.
func verbsAfterClose(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	held, reply, err := a.hold(st.key("k"), st.short())
	if err != nil {
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	r := a.request(st.key("other"), long)
	after, acquiring := a.Acquire(a.ctx, r)
	_, renewing := a.Renew(a.ctx, held.Attempt, long, reply.Base)
	errs := []error{
		contract(r, after, acquiring),
		over("acquire", acquiring),
		over("renew", renewing),
		over("release", a.Release(a.ctx, held.Attempt)),
		over("cancel", backends.Cancel(a.ctx, a.Backend, held.Attempt)),
	}
	if i, ok := whole(a.Backend).(backends.Inspector); ok {
		_, inspecting := i.Inspect(a.ctx, held.Key)
		errs = append(errs, over("inspect", inspecting))
	}
	return first(errs...)
}

// closeUnderWay closes while a goroutine calls without a pause.
func closeUnderWay(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	started, done := make(chan struct{}), make(chan error, 1)
	key := st.key("k")
	// Stopped by the first error after Close; waited for below.
	go func() {
		for n := 0; ; n++ {
			r := a.request(key, st.short())
			if _, err := a.Acquire(a.ctx, r); err != nil {
				done <- over("acquire", err)
				return
			}
			if err := a.Release(a.ctx, r.Attempt); err != nil && !backends.IsNotHeld(err) {
				done <- over("release", err)
				return
			}
			if n == 10 {
				close(started)
			}
		}
	}()
	select {
	case <-started:
	case err := <-done:
		return fmt.Errorf("before close: %w", err)
	}
	closing := a.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return first(closing, err)
	case <-timer.C:
		// Leaked for good reason: the check has failed.
		return fmt.Errorf("a call still runs %v after close", grace)
	}
}

// closeAlone: sessions share a store, in the embedded backend in one process,
// and the first to leave must not switch off the light.
func closeAlone(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := b.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := a.Close(); err != nil {
		return err
	}
	if _, err := b.Renew(b.ctx, r.Attempt, long, reply.Base); err != nil {
		return fmt.Errorf("renew after another session closed: %w", err)
	}
	return b.free(r)
}
