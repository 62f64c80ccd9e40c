package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

var _ backends.Sharer = (*Backend)(nil)

// RenewShare makes a share last r.TTL from now, or a lock a share; see backends.Sharer.
func (b *Backend) RenewShare(ctx context.Context, r backends.Request, known uint64) (backends.Reply, error) {
	return b.call(ctx, backends.Call{Verb: backends.Renewing, Request: r, Known: known})
}

// byShares reports whether a call in full goes to the verbs of shares. Those of the mutex do for locks: only an attempt
// to get one while shares are out is made there, which is found out by codeShares, and remembered. When one that waits
// for them is given up, they tell those behind it, which the mutex's does not.
func (c *command) byShares() bool {
	return c.call.Kind != backends.Exclusive ||
		c.shared && (c.call.Verb == backends.Acquiring || c.call.Verb == backends.Cancelling)
}

// makeShare makes the command a request of its verb's script of shares.
func (c *command) makeShare() {
	of, wire := c.call, c.call.Token.Wire()
	kind, n, want := scripts.KindLetters[of.Kind:of.Kind+1], "0", "0"
	if of.Kind == backends.Slots {
		n, want = strconv.Itoa(of.N), strconv.Itoa(of.Want)
	}
	switch of.Verb {
	case backends.Acquiring:
		c.build(scripts.AcquireShare, of.Key, wire, millis(of.TTL), of.Label, c.pace.wait(),
			strconv.FormatUint(of.Ask, 10), millis(c.pace.keeps(lives(of.Request))), c.push, kind, n, want)
	case backends.Renewing:
		c.build(scripts.RenewShare, of.Key, wire, millis(of.TTL), strconv.FormatUint(of.Known, 10), c.push, kind, n,
			strconv.Itoa(max(1, of.Want)))
	default:
		c.build(scripts.ReleaseShare, of.Key, wire, c.marks(), c.push)
	}
}

// wantsShares reports whether shares of the lock are out, and nothing was done.
func (c *command) wantsShares() bool {
	if c.fast || c.script != scripts.Acquire {
		return false
	}
	l, _ := c.Val().([]any)
	code, ok := list(l).to(c.call.Token).number(0)
	return ok && code == codeShares
}

// goesOn makes the command what has to be sent in place of a request that did nothing. It returns false if that is done.
func (c *command) goesOn() bool {
	switch {
	case c.wantsFull():
	case c.wantsShares():
		c.shared = true
	default:
		return false
	}
	c.makeFull()
	return true
}

// readShared is what the reply of a script of shares means to the call.
func (b *Backend) readShared(c *command, v any) (reply backends.Reply, err error) {
	l, messages := split(v, c.push)
	l = l.to(c.call.Token)
	var quiet bool
	switch c.call.Verb {
	case backends.Acquiring:
		reply, quiet, err = readAcquireShare(l, c.pace)
		b.settleAcquired(c, &reply, err)
	case backends.Renewing:
		if reply, err = readRenewShare(l); c.inbox != nil {
			c.inbox.noteRenewal(c.call.Attempt, &reply, err)
		}
	default:
		var had bool
		if had, quiet, err = readReleaseShare(l); err == nil && !had && c.call.Verb == backends.Releasing {
			err = backends.ErrNotHeld
		}
	}
	if !malformedReply(err) {
		b.deliver(messages)
	}
	if c.call.Verb != backends.Renewing {
		b.memory.found(c.call.Key, quiet)
	}
	if c.call.Verb == backends.Acquiring && err == nil {
		b.memory.sharing(c.call.Key, reply.Kind != backends.Exclusive)
	}
	return reply, err
}

// readAcquireShare reads the reply of shares/acquire.
func readAcquireShare(l fields, p pacing) (reply backends.Reply, quiet bool, err error) {
	code, ok := l.number(0)
	switch {
	case ok && code == codeSettled && len(l) == 1:
		return backends.Reply{}, false, errSettled
	case ok && code == codeGranted && len(l) == 7:
		reply, ok1 := l[:4].grant()
		quiet, ok2 := l.flag(4)
		if ok1 && ok2 && l[5:].share(&reply) {
			return reply, quiet, nil
		}
	case ok && code == codeHeld && len(l) == 8:
		kind, ok1 := l.kind(6)
		out, ok2 := l.number(7)
		p.repeats = p.repeats && kind == backends.Exclusive // a beat is no ask, and there is nobody to tell that one share has ended
		if reply, ok := l[:6].held(p); ok && ok1 && ok2 && out >= 0 {
			reply.Kind, reply.Out = kind, int(out)
			return reply, false, nil
		}
	}
	return backends.Reply{}, false, malformed(scripts.AcquireShare.Name)
}

func readRenewShare(l fields) (backends.Reply, error) {
	code, ok := l.number(0)
	switch {
	case ok && code == codeHeld && len(l) == 1:
		return backends.Reply{}, backends.ErrNotHeld
	case ok && code == codeRevoked && len(l) == 1:
		return backends.Reply{}, backends.ErrRevoked
	case ok && code == codeGranted && len(l) == 6:
		if reply, ok := l[:4].grant(); ok && l[4:].share(&reply) {
			return reply, nil
		}
	}
	return backends.Reply{}, malformed(scripts.RenewShare.Name)
}

func readReleaseShare(l fields) (had, quiet bool, err error) {
	had, ok1 := l.flag(0)
	_, ok2 := l.flag(1)
	quiet, ok3 := l.flag(2)
	if !ok1 || !ok2 || !ok3 || len(l) != 3 {
		return false, false, malformed(scripts.ReleaseShare.Name)
	}
	return had, quiet, nil
}

// share reads kind, permits.
func (l fields) share(r *backends.Reply) bool {
	kind, ok1 := l.kind(0)
	permits, ok2 := l.number(1)
	if r.Kind = kind; kind == backends.Slots {
		r.Permits = int(permits)
	}
	return ok1 && ok2 && len(l) == 2 && permits >= 1 && permits <= backends.MostWanted
}

// inspectShares adds what is known of the shares that are out. It returns false if none are.
func (b *Backend) inspectShares(ctx context.Context, key string, info *backends.Info) (bool, error) {
	v, f := b.run(ctx, scripts.InspectShares, key)
	if f != nil {
		return false, f.err
	}
	l := list(v)
	kind, ok1 := l.kind(0)
	out, ok2 := l.number(1)
	holders, ok3 := l.holders(2)
	if !ok1 || !ok2 || !ok3 || len(l) != 3 || out < 0 {
		b.dialer.mistrust()
		return false, malformed(scripts.InspectShares.Name)
	}
	info.ShareOut(kind, int(out), holders)
	return kind != backends.Exclusive, nil
}

// holders reads {label, held, ends, permits, n, first, base, revoked, …}.
func (l fields) holders(i int) (all []backends.Holder, ok bool) {
	if i >= len(l) {
		return nil, false
	}
	said, ok := l[i].([]any)
	for at := 0; ok && at < len(said); at += 8 {
		one := fields(said[at:min(at+8, len(said))])
		label, ok1 := one.text(0)
		held, ok2 := one.number(1)
		ends, ok3 := one.number(2)
		permits, ok4 := one.number(3)
		n, ok5 := one.number(4)
		first, ok6 := one.base(5)
		base, ok7 := one.base(6)
		revoked, ok8 := one.flag(7)
		h := backends.Holder{
			HeldFor: ptr(time.Duration(held) * time.Millisecond), ExpiresIn: ptr(time.Duration(ends) * time.Millisecond),
			Permits: int(permits), N: int(n), First: first, Base: base, Revoked: revoked,
		}
		if label != "" {
			h.Label = &label
		}
		all, ok = append(all, h), ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && ok8
	}
	return all, ok
}

func (l fields) base(i int) (uint64, bool) {
	text, ok := l.text(i)
	n, err := strconv.ParseUint(text, 10, 64)
	return n, ok && err == nil
}

// revokeShares revokes the shares that r means, which takes a call for each so many. out is false if there are none.
func (b *Backend) revokeShares(ctx context.Context, key string, r backends.Revocation) (found backends.Revoked, out bool, err error) {
	found = backends.Superseded
	for from := "-inf"; from != ""; {
		push := b.pushes.push()
		v, f := b.run(ctx, scripts.RevokeShares, key, strconv.FormatUint(r.Base, 10), scripts.Flag(r.Now), push, from)
		if f != nil {
			return found, true, f.err
		}
		l, messages := split(v, push)
		code, ok1 := l.number(0)
		after, ok2 := l.text(1)
		if ok1 && ok2 && code == codeShares {
			return found, from != "-inf", nil // those that were left have gone meanwhile
		}
		if !ok1 || !ok2 || len(l) != 2 || code < 1 || int(code) >= len(revoked) || strings.Trim(after, "0123456789") != "" {
			b.dialer.mistrust()
			return found, true, malformed(scripts.RevokeShares.Name)
		}
		b.deliver(messages)
		found, from = max(found, revoked[code]), after
		if r.Base != 0 && found != backends.Superseded {
			break
		}
	}
	return found, true, nil
}

// turnsMost is how often a key may turn from a lock to shares and back while one call looks at it.
const turnsMost = 8

// errTurns is what a call says that met a lock and shares in turn.
func errTurns() error {
	return backends.Unavailable(name, fmt.Errorf("the key has been locked and shared in turn %d times", turnsMost))
}
