package memcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

// rounds is how often a verb looks at its key, at most. Each new look follows
// a change by somebody else, or a lost connection.
const rounds = 16

// A talk is one verb's exchange with its key's server. Its connection is its
// own until the end.
type talk struct {
	b       *Backend
	ctx     context.Context
	attempt backends.Attempt
	items   items
	server  *server

	link     atomic.Pointer[link] // nil: none at the moment; see interrupt
	wire     wire                 // over it
	release  func() bool          // stops the watch on ctx
	failures int
	wrote    bool // a command was sent that may have changed the key
}

// talk begins a verb; end must be called when err is nil.
func (b *Backend) talk(ctx context.Context, a backends.Attempt) (*talk, error) {
	if b.closed.Load() {
		return nil, errClosed
	}
	if ctx.Err() != nil {
		return nil, backends.Interrupted(ctx, name)
	}
	t := &talk{b: b, ctx: ctx, attempt: a, items: itemsOf(a.Key)}
	t.server = pick(b.servers, t.items.digest)
	t.release = context.AfterFunc(ctx, t.interrupt)
	return t, nil
}

// interrupt ends the command under way: the driver knows no contexts, but a
// closed connection it understands. It runs beside the verb, once.
func (t *talk) interrupt() {
	if l := t.link.Load(); l != nil {
		_ = l.conn.Close()
	}
}

// end gives the connection back, if ctx has not cut it off.
func (t *talk) end() {
	uncut := t.release()
	if l := t.link.Swap(nil); l != nil {
		if uncut {
			t.server.give(l)
		} else {
			t.server.drop(l, false)
		}
	}
}

// A fault is a command without a usable answer.
type fault struct {
	err   error // as callers see it
	final bool  // the verb ends with it, or else looks at what became of the command
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// again reports whether err leaves the verb another look.
func again(err error) bool {
	var f *fault
	return errors.As(err, &f) && !f.final
}

// do makes one command. Its error is an answer of the server, or a *fault. Of
// all faults of a verb the first is forgiven if the server can be reached: an
// idle connection whose server was restarted ends that way, silently.
func (t *talk) do(command func(wire) error) error {
	if t.link.Load() == nil {
		l, err := t.server.take(t.ctx)
		if err != nil {
			return &fault{t.judge(err), true}
		}
		t.link.Store(l)
		if t.ctx.Err() != nil {
			_ = l.conn.Close() // interrupt may have come too early to see it
		}
		t.wire = l
		if t.b.between != nil {
			t.wire = t.b.between(l)
		}
	}
	l := t.link.Load()
	l.sent = time.Now()
	err := command(t.wire)
	if answered(err) {
		l.met = true
		return err
	}
	if !l.met && t.ctx.Err() == nil {
		t.server.mute(err)
	}
	// A canceled call proves nothing about its connection; a timeout does.
	t.server.drop(t.link.Swap(nil), !errors.Is(t.ctx.Err(), context.Canceled))
	t.failures++
	err = t.judge(err)
	return &fault{err, t.failures > 1 || t.ctx.Err() != nil || t.b.closed.Load() || backends.IsRefused(err)}
}

// A sight is what a look at a key has found.
type sight struct {
	lock    *gomemcache.Item // nil: the key is free
	lease   lease
	foreign bool // somebody else's client has it
	wait    *gomemcache.Item
	revoke  *gomemcache.Item
}

// own reports whether the key has this attempt's token.
func (s *sight) own(a backends.Attempt) bool {
	return s.lock != nil && !s.foreign && s.lease.token == a.Token
}

// revoked reports whether somebody wants the lease that was seen to end.
func (s *sight) revoked() bool { return s.lease.revokedBy(s.revoke) }

// look reads the key's lock, wait and revoke items in one command.
func (t *talk) look() (s sight, err error) {
	var found map[string]*gomemcache.Item
	err = t.do(func(w wire) (err error) {
		found, err = w.get(t.items.lock, t.items.wait, t.items.revoke)
		return err
	})
	if err != nil {
		return s, err
	}
	s.lock, s.wait, s.revoke = found[t.items.lock], found[t.items.wait], found[t.items.revoke]
	if s.lock != nil {
		if s.lock.CasID == 0 { // no number is: without them, swaps prove nothing
			return s, &fault{backends.Refused(name, "start the server without -C", errNoNumbers), true}
		}
		var ours bool
		s.lease, ours = decode(s.lock.Value)
		s.foreign = !ours
	}
	return s, nil
}

// add puts the token on a key, if it is free. The item ends by itself within
// unconfirmed seconds: until it is swapped for a lease it is nobody's.
func (t *talk) add() error {
	l := lease{token: t.attempt.Token}
	return t.do(func(w wire) error {
		t.wrote = true
		return w.add(&gomemcache.Item{Key: t.items.lock, Value: l.encode(), Expiration: unconfirmed})
	})
}

// swap puts l in the place of what was seen, for d from now.
func (t *talk) swap(seen sight, l lease, d time.Duration) error {
	return t.do(func(w wire) error {
		t.wrote = true
		return w.cas(&gomemcache.Item{Key: t.items.lock, Value: l.encode(), Expiration: seconds(d), CasID: seen.lock.CasID})
	})
}

// erase deletes an item as it was seen, by a swap that has expired already. The
// driver has no other delete that compares: memcached's own is a meta command, from
// 1.6 on. A swap needs room for an item, which a full server that doesn't evict (-M)
// hasn't: there the item stays until its end.
func (t *talk) erase(seen *gomemcache.Item) error {
	return t.do(func(w wire) error {
		return w.cas(&gomemcache.Item{Key: seen.Key, Expiration: -1, CasID: seen.CasID})
	})
}
