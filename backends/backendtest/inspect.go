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
		{"inspect names those who wait, in their order", inspectWaiters, inspectsQueue, inspectNamesNobody},
		{"inspect changes nothing", inspectOnlyReads, inspects, noInspector},
	}
}

func inspectsQueue(o offer) bool { return o.Inspects && fair(o) }

// noInspector: an interface that is there will be found by assertion, whatever
// the capabilities say.
func noInspector(st *store) error {
	if _, ok := whole(st.bare()).(backends.Inspector); ok {
		return fmt.Errorf("it implements Inspector and declares that it can't inspect")
	}
	return nil
}

func (s *session) inspect(key string) (backends.Info, error) {
	i, ok := whole(s.Backend).(backends.Inspector)
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
	case info.First != nil && *info.First != reply.Base:
		return fmt.Errorf("first base %d, want that of the grant, %d", *info.First, reply.Base)
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
	if info.First != nil && *info.First >= reply.Base {
		return fmt.Errorf("after a renewal with base %d the first is %d", reply.Base, *info.First)
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
	if info.First != nil {
		fmt.Fprintf(&b, " first %d", *info.First)
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
	for i, w := range info.Waiters {
		fmt.Fprintf(&b, " %d.", i+1)
		if w.Label != nil {
			fmt.Fprintf(&b, " %q", *w.Label)
		}
		if w.For != nil {
			fmt.Fprintf(&b, " for %v", *w.For)
		}
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

// inspectWaiters is for backends that can name the waiters. Such a backend shows it
// for a free key already: the list is empty and not nil. The first waiter asks again
// after the second has come, as waiters do, and keeps its age.
func inspectWaiters(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	if info, err := a.inspect(st.key("k")); err != nil || info.Waiters == nil {
		return err
	}
	return undisturbed(st, func(key string) error {
		held, waiting, err := line(a, []*session{b, c}, key, long)
		if err != nil {
			return err
		}
		if _, err := b.want(backends.Held, waiting[0]); err != nil {
			return err
		}
		info, err := a.inspect(key)
		if err != nil {
			return err
		}
		if err := inLine(info, b.label, c.label); err != nil {
			return err
		}
		if err := b.cancel(waiting[0]); err != nil {
			return err
		}
		if info, err = c.inspect(key); err != nil {
			return err
		}
		if err := inLine(info, c.label); err != nil {
			return err
		}
		if err := first(a.free(held), c.cancel(waiting[1])); err != nil {
			return err
		}
		if info, err = c.inspect(key); err != nil {
			return err
		}
		return inLine(info)
	})
}

// inLine insists on the waiters, first in line first.
func inLine(info backends.Info, labels ...string) error {
	ok := len(info.Waiters) == len(labels) && info.Waiters != nil && info.Waiting != nil && *info.Waiting == len(labels)
	for i, w := range info.Waiters {
		ok = ok && (w.Label == nil || *w.Label == labels[i]) && (w.For == nil || *w.For >= 0 && *w.For <= grace)
		if i > 0 && w.For != nil && info.Waiters[i-1].For != nil {
			ok = ok && *w.For <= *info.Waiters[i-1].For
		}
	}
	if !ok {
		return fmt.Errorf("%q wait: %s", labels, told(info))
	}
	return nil
}

// inspectNamesNobody: a list of waiters has the order of a queue, so a backend
// without one has no list.
func inspectNamesNobody(st *store) error {
	if !st.caps.Inspects {
		return noInspector(st)
	}
	a, err := st.session()
	if err != nil {
		return err
	}
	if info, err := a.inspect(st.key("k")); err != nil || info.Waiters != nil {
		return fmt.Errorf("a backend without a queue names those who wait: %s, error %v", told(info), err)
	}
	return nil
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
