package backendtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// What Inspect can't know is absent, so a field that is there has to be right.
func inspectChecks() []check {
	return []check{
		{"inspect tells of a free key", inspectFree, inspects, noInspector},
		{"inspect tells of a held key, and never its token", inspectHeld, inspects, noInspector},
		{"inspect counts those who wait", inspectWaiting, inspectsQueue, inspectUnknownQueue},
		{"inspect changes nothing", inspectOnlyReads, inspects, noInspector},
	}
}

func inspectsQueue(o offer) bool { return o.Inspects && fair(o) }

// noInspector: an interface that is there will be found by assertion, whatever
// the capabilities say.
func noInspector(st *store) error {
	if _, ok := st.bare().(backends.Inspector); ok {
		return fmt.Errorf("it implements Inspector and declares that it can't inspect")
	}
	return nil
}

func (s *session) inspect(key string) (backends.Info, error) {
	i, ok := s.Backend.(backends.Inspector)
	if !ok {
		return backends.Info{}, fmt.Errorf("it declares that it inspects and is no Inspector")
	}
	info, err := i.Inspect(s.ctx, key)
	if err != nil {
		return info, fmt.Errorf("inspect: %w", err)
	}
	return info, nil
}

// inspectFree looks before the first hold and after the last, which leaves a
// companion or a record behind in most backends.
func inspectFree(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	key := st.key("k")
	if info, err := a.inspect(key); err != nil || info.Held {
		return fmt.Errorf("a key never seen: held %t, error %v", info.Held, err)
	}
	r, _, err := a.hold(key, long)
	if err != nil {
		return err
	}
	if err := a.free(r); err != nil {
		return err
	}
	info, err := a.inspect(key)
	if err != nil {
		return err
	}
	if info.Held || info.Foreign || (info.Waiting != nil && *info.Waiting != 0) {
		return fmt.Errorf("after a release: %s", told(info))
	}
	return nil
}

// inspectHeld looks from another session: the holder's own could answer from
// memory. The token is the one thing that must not be shown, since whoever
// reads it can release the lease.
func inspectHeld(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	key := st.key("k")
	r, reply, err := a.hold(key, long)
	if err != nil {
		return err
	}
	info, err := b.inspect(key)
	if err != nil {
		return err
	}
	switch {
	case !info.Held || info.Foreign:
		return fmt.Errorf("held by a session of ours: %s", told(info))
	case info.Holder != nil && *info.Holder != a.label:
		return fmt.Errorf("holder %q, want %q", *info.Holder, a.label)
	case info.Base != nil && *info.Base != reply.Base:
		return fmt.Errorf("base %d, want %d", *info.Base, reply.Base)
	case info.HeldFor != nil && (*info.HeldFor < 0 || *info.HeldFor > grace):
		return fmt.Errorf("held for %v, just after the grant", *info.HeldFor)
	case info.ExpiresIn != nil && (*info.ExpiresIn <= long-grace || *info.ExpiresIn > reply.TTL+time.Second):
		return fmt.Errorf("expires in %v, just after a grant of %v", *info.ExpiresIn, reply.TTL)
	case strings.Contains(told(info), string(a.id)):
		return fmt.Errorf("the token is shown")
	}
	if reply, err = a.Renew(a.ctx, r.Attempt, long, reply.Base); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	if info, err = b.inspect(key); err != nil || (info.Base != nil && *info.Base != reply.Base) {
		return fmt.Errorf("after a renewal with base %d: %s, error %v", reply.Base, told(info), err)
	}
	return a.free(r)
}

// told is everything that an Info shows, its pointers followed.
func told(info backends.Info) string {
	var b strings.Builder
	fmt.Fprintf(&b, "held %t foreign %t revoked %t", info.Held, info.Foreign, info.Revoked)
	if info.Holder != nil {
		fmt.Fprintf(&b, " holder %q", *info.Holder)
	}
	if info.Base != nil {
		fmt.Fprintf(&b, " base %d", *info.Base)
	}
	if info.HeldFor != nil {
		fmt.Fprintf(&b, " for %v", *info.HeldFor)
	}
	if info.ExpiresIn != nil {
		fmt.Fprintf(&b, " expires in %v", *info.ExpiresIn)
	}
	if info.Waiting != nil {
		fmt.Fprintf(&b, " waiting %d", *info.Waiting)
	}
	return b.String()
}

func inspectWaiting(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, waiting, err := line(a, []*session{b, c}, key, long)
		if err != nil {
			return err
		}
		for left, step := range []func() error{
			func() error { return a.free(held) },
			func() error { return c.cancel(waiting[1]) },
		} {
			info, err := b.inspect(key)
			if err != nil {
				return err
			}
			// At first two wait; after the release only c does for certain:
			// b was given the key, or is about to be.
			if info.Waiting == nil || *info.Waiting < 1 || *info.Waiting > 2 || (left == 0 && *info.Waiting != 2) {
				return fmt.Errorf("two waited, step %d: %s", left, told(info))
			}
			if err := step(); err != nil {
				return err
			}
		}
		return b.cancel(waiting[0])
	})
}

// inspectUnknownQueue: what a backend can't count is absent, not zero.
func inspectUnknownQueue(st *store) error {
	if !st.caps.Inspects {
		return noInspector(st)
	}
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	r, _, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	if _, err := b.acquire(b.request(r.Key, long)); err != nil {
		return err
	}
	info, err := a.inspect(r.Key)
	if err != nil {
		return err
	}
	if info.Waiting != nil && *info.Waiting == 0 {
		return fmt.Errorf("one waits: %s", told(info))
	}
	return a.free(r)
}

// inspectOnlyReads: people run "show" in a loop, on keys that are in use.
func inspectOnlyReads(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	r, reply, err := a.hold(st.key("k"), long)
	if err != nil {
		return err
	}
	for range 20 {
		if _, err := b.inspect(r.Key); err != nil {
			return err
		}
	}
	now, err := a.Renew(a.ctx, r.Attempt, long, reply.Base)
	if err != nil || now.Base <= reply.Base {
		return fmt.Errorf("renewed with base %d after %d, error %v", now.Base, reply.Base, err)
	}
	if err := a.free(r); err != nil {
		return err
	}
	if _, err := b.inspect(r.Key); err != nil {
		return err
	}
	_, err = c.want(backends.Granted, c.once(r.Key, long))
	return err
}
