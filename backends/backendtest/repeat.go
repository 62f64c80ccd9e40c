package backendtest

import (
	"fmt"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
)

// A driver, or the network, may deliver a request twice: every verb finds its
// own lease and never makes a second one.
func repeatChecks() []check {
	return []check{
		{"a repeated acquire finds its own lease", acquireTwice, nil, nil},
		{"a repeated acquire never shortens the lease", acquireTwiceShorter, exclusive, twoHoldAtOnce},
		{"copies of one acquire under way together are one lease", acquireTogether, nil, nil},
		{"a repeated renewal is renewed", renewTwice, nil, nil},
		{"a repeated release is not held", releaseTwice, exclusive, twoHoldAtOnce},
		{"a repeated cancel is nil", cancelTwice, nil, nil},
	}
}

// acquireTwice: a driver that times out sends the same attempt again, and the
// first copy may have been granted. "Held" by itself would be the answer that
// go-redis's blind retry of SET NX gets.
func acquireTwice(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, before, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	for range 3 {
		again, err := a.want(backends.Granted, r)
		if err != nil {
			return err
		}
		if again.Base < before.Base {
			return fmt.Errorf("base went back from %d to %d", before.Base, again.Base)
		}
		before = again
	}
	if err := a.free(r); err != nil {
		return err
	}
	// One release ends what four acquires found.
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}

// acquireTwiceShorter: a copy that was delayed carries the ttl of back then, and
// the caller relies on the longer one.
func acquireTwiceShorter(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	copied := r
	copied.TTL = st.short()
	if _, err := a.want(backends.Granted, copied); err != nil {
		return err
	}
	if err := a.outlast(st.short()); err != nil {
		return err
	}
	if _, err := b.want(backends.Held, b.once(r.Key, long)); err != nil {
		return err
	}
	return a.free(r)
}

// acquireTogether: the earlier copy is still on its way when the next is sent,
// so that both find the key free. The one release that follows must end both.
func acquireTogether(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for round := range 10 {
		r := a.request(st.key(fmt.Sprint(round)), long)
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			// Stopped by its single call; waited for below.
			wg.Go(func() { _, errs[i] = a.want(backends.Granted, r) })
		}
		wg.Wait()
		if err := first(errs...); err != nil {
			return err
		}
		if err := a.free(r); err != nil {
			return err
		}
		if _, err := b.want(backends.Granted, b.once(r.Key, long)); err != nil {
			return err
		}
	}
	return nil
}

// renewTwice: each renewal mints a base, so that the copy that is answered last
// is also the one whose base the others can't have.
func renewTwice(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	last := reply.Base
	for range 3 {
		// The same arguments each time: known is stale from the second on.
		again, err := a.Renew(a.ctx, r.Attempt, long, reply.Base)
		if err != nil {
			return fmt.Errorf("renew: %w", err)
		}
		if again.Base <= last || again.TTL < long {
			return fmt.Errorf("renewed with base %d after %d, for %v of %v", again.Base, last, again.TTL, long)
		}
		last = again.Base
	}
	return a.free(r)
}

// releaseTwice: the second release must not say nil, which would claim that the
// lease lasted until then; and it must not touch what came after.
func releaseTwice(st *store) error {
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
	if err := notHeld("the second release", a.Release(a.ctx, r.Attempt)); err != nil {
		return err
	}
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}

// cancelTwice: a cancel is retried until it is answered, and "nothing is left"
// is as true the second time.
func cancelTwice(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if err := first(a.cancel(r), a.cancel(r)); err != nil {
		return err
	}
	_, err = b.want(backends.Granted, b.once(r.Key, long))
	return err
}
