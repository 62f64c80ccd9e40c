package memcache

import (
	"context"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// Inspect tells what a key's items say, without changing them. memcached tells
// nobody when an item will end, nor who asked for it in vain.
func (b *Backend) Inspect(ctx context.Context, key string) (backends.Info, error) {
	t, err := b.talk(ctx, backends.Attempt{Key: key})
	if err != nil {
		return backends.Info{}, err
	}
	defer t.end()
	var found map[string]*gomemcache.Item
	read := func() error {
		return t.do(func(w wire) (err error) {
			found, err = w.get(t.items.lock, t.items.fence, t.items.revoke)
			return err
		})
	}
	if err = read(); again(err) {
		err = read()
	}
	if err != nil {
		return backends.Info{}, err
	}
	var info backends.Info
	// Known also of a free key, for as long as its counter stays.
	if counter := found[t.items.fence]; counter != nil {
		if base, err := parseBase(counter); err == nil {
			info.Base = &base
		}
	}
	lock := found[t.items.lock]
	if lock == nil {
		return info, nil
	}
	info.Held = true
	l, ours := decode(lock.Value)
	info.Foreign, info.Revoked = !ours, l.revokedBy(found[t.items.revoke])
	if l.resting {
		info.Resting, info.Holder, info.Base = true, &l.label, &l.base
	}
	if l.granted {
		heldFor := b.clock.heldFor(l)
		info.Holder, info.Base, info.First, info.HeldFor = &l.label, &l.base, &l.first, &heldFor
	}
	return info, nil
}

// heldFor is by two processes' clocks, so it is for people, and never negative.
func (c clock) heldFor(l lease) time.Duration {
	return time.Duration(max(0, c.now()-l.since)) * time.Millisecond
}
