package redis

import (
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// The first number behind the attempt's in a reply to acquire or renew; the scripts' headers list them.
const (
	codeShares  = -2
	codeSettled = -1
	codeHeld    = 0
	codeGranted = 1
	codeRevoked = 2
)

// readAcquire reads acquire's reply to t and push, whether the key is quiet, and the messages
// that its caller has to publish; p says when to ask again.
func readAcquire(v any, t backends.Token, push string, p pacing) (reply backends.Reply, quiet bool, messages []told, err error) {
	l, messages := split(v, push)
	l = l.to(t)
	code, ok := l.number(0)
	switch {
	case ok && code == codeSettled && len(l) == 1:
		return backends.Reply{}, false, messages, errSettled
	case ok && code == codeGranted && len(l) == 5:
		reply, ok1 := l[:4].grant()
		if quiet, ok2 := l.flag(4); ok1 && ok2 {
			return reply, quiet, messages, nil
		}
	case ok && code == codeHeld && len(l) == 6:
		if reply, ok := l.held(p); ok {
			return reply, false, messages, nil
		}
	}
	return backends.Reply{}, false, nil, malformed("acquire")
}

func readRenew(v any, t backends.Token) (backends.Reply, error) {
	l := list(v).to(t)
	code, ok := l.number(0)
	switch {
	case ok && code == codeHeld && len(l) == 1:
		return backends.Reply{}, backends.ErrNotHeld
	case ok && code == codeRevoked && len(l) == 1:
		return backends.Reply{}, backends.ErrRevoked
	case ok && code == codeGranted:
		if reply, ok := l.grant(); ok {
			return reply, nil
		}
	}
	return backends.Reply{}, malformed("renew")
}

func readRelease(v any, t backends.Token, push string) (quiet bool, messages []told, err error) {
	l, messages := split(v, push)
	l = l.to(t)
	code, ok1 := l.number(0)
	quiet, ok2 := l.flag(len(l) - 1)
	switch {
	case ok1 && ok2 && code == 0 && len(l) == 2:
		return quiet, messages, backends.ErrNotHeld
	case ok1 && ok2 && code == 1 && len(l) == 3:
		return quiet, messages, nil
	}
	return false, nil, malformed("release")
}

func readCancel(v any, t backends.Token, push string) (quiet bool, messages []told, err error) {
	l, messages := split(v, push)
	l = l.to(t)
	_, ok1 := l.flag(0)
	quiet, ok2 := l.flag(1)
	if !ok1 || !ok2 || len(l) != 2 {
		return false, nil, malformed("cancel")
	}
	return quiet, messages, nil
}

// revoked are the numbers of revoke's reply.
var revoked = [...]backends.Revoked{
	backends.NobodyHolds, backends.Superseded, backends.Foreign, backends.Marked, backends.Deleted,
}

// readRevoke returns false if shares are out.
func readRevoke(v any, push string) (_ backends.Revoked, lock bool, _ []told, _ error) {
	l, messages := split(v, push)
	found, ok := l.number(0)
	switch {
	case ok && len(l) == 1 && found >= 0 && int(found) < len(revoked):
		return revoked[found], true, messages, nil
	case ok && len(l) == 1 && found == codeShares:
		return backends.NobodyHolds, false, messages, nil
	}
	return backends.NobodyHolds, true, nil, malformed("revoke")
}

// stateShared is inspect's state of a key of which shares are out.
const stateShared = 4

// readInspect returns true if shares are out, of which it tells nothing.
func readInspect(v any) (_ backends.Info, shared bool, _ error) {
	l := list(v)
	state, ok0 := l.number(0)
	label, ok1 := l.text(1)
	held, ok2 := l.number(2)
	ends, ok3 := l.number(3)
	base, ok4 := l.text(4)
	waiting, ok5 := l.number(5)
	revoked, ok6 := l.number(6)
	first, ok7 := l.text(7)
	waiters, ok8 := l.waiters(8)
	if !(ok0 && ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && ok8) || len(l) != 9 || state < 0 || state > stateShared || waiting < 0 {
		return backends.Info{}, false, malformed("inspect")
	}
	info := backends.Info{Held: state != 0, Foreign: state == 2, Resting: state == 3, Revoked: revoked == 1, Waiting: ptr(int(waiting)), Waiters: waiters}
	if label != "" {
		info.Holder = &label
	}
	if held >= 0 {
		info.HeldFor = ptr(time.Duration(held) * time.Millisecond)
	}
	if ends >= 0 {
		info.ExpiresIn = ptr(time.Duration(ends) * time.Millisecond)
	}
	var err error
	if info.Base, err = knownBase(base); err == nil {
		info.First, err = knownBase(first)
	}
	if err != nil {
		return backends.Info{}, false, malformed("inspect")
	}
	return info, state == stateShared, nil
}

// knownBase returns a base from inspect's reply, or nil if it is unknown.
func knownBase(digits string) (*uint64, error) {
	if digits == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return &n, err
}

func ptr[T any](v T) *T { return &v }

// fields is a script's reply; nil for anything that is no array. Its readers
// report false instead of guessing: a zero that stands for "unreadable" could
// pass for a fence or a lease.
type fields []any

func list(v any) fields {
	l, _ := v.([]any)
	return l
}

// to returns what stands behind the attempt's number, and nothing of a reply to another attempt: a connection may bring
// one if its replies have fallen a request behind.
func (l fields) to(t backends.Token) fields {
	if n, ok := l.number(0); !ok || uint64(n) != t.Attempt() {
		return nil
	}
	return l[1:]
}

// split takes what the caller has to publish off a reply's end, where push says
// that there is something: sessions and messages in turn. It leaves nothing of a
// reply that doesn't end so.
func split(v any, push string) (fields, []told) {
	l := list(v)
	if push == pushByScript || len(l) == 0 {
		return l, nil
	}
	rest, last := l[:len(l)-1], l[len(l)-1]
	pairs, ok := last.([]any)
	if !ok {
		return nil, nil
	}
	var messages []told
	for i := 0; i < len(pairs); i += 2 {
		session, ok1 := fields(pairs).text(i)
		message, ok2 := fields(pairs).text(i + 1)
		if !ok1 || !ok2 {
			return nil, nil
		}
		messages = append(messages, told{session, message})
	}
	return rest, messages
}

func (l fields) number(i int) (int64, bool) {
	if i < 0 || i >= len(l) {
		return 0, false
	}
	n, ok := l[i].(int64)
	return n, ok
}

// flag reads 0 or 1.
func (l fields) flag(i int) (set, ok bool) {
	n, ok := l.number(i)
	return n == 1, ok && (n == 0 || n == 1)
}

// waiters reads {label, ms, kind, n, …}.
func (l fields) waiters(i int) ([]backends.Waiter, bool) {
	if i >= len(l) {
		return nil, false
	}
	said, ok := l[i].([]any)
	all := make([]backends.Waiter, 0, len(said)/4)
	for at := 0; ok && at < len(said); at += 4 {
		label, ok1 := fields(said).text(at)
		ms, ok2 := fields(said).number(at + 1)
		kind, ok3 := fields(said).kind(at + 2)
		n, ok4 := fields(said).number(at + 3)
		w := backends.Waiter{For: ptr(time.Duration(ms) * time.Millisecond), Kind: kind, N: int(n)}
		if label != "" {
			w.Label = &label
		}
		all, ok = append(all, w), ok1 && ok2 && ok3 && ok4 && ms >= 0 && n >= 0 && n <= backends.MaxSlots
	}
	return all, ok
}

// kind reads the letter of a kind.
func (l fields) kind(i int) (backends.Kind, bool) {
	letter, ok := l.text(i)
	kind := strings.Index(scripts.KindLetters, letter)
	return backends.Kind(max(0, kind)), ok && len(letter) == 1 && kind >= 0
}

func (l fields) text(i int) (string, bool) {
	if i >= len(l) {
		return "", false
	}
	s, ok := l[i].(string)
	return s, ok
}

// grant reads 1, base, ttl, contended.
func (l fields) grant() (backends.Reply, bool) {
	text, ok1 := l.text(1)
	ttl, ok2 := l.number(2)
	contended, ok3 := l.number(3)
	base, err := strconv.ParseUint(text, 10, 64)
	if !(ok1 && ok2 && ok3) || len(l) != 4 || err != nil || base == 0 || base >= scripts.MaxBase || ttl <= 0 {
		return backends.Reply{}, false
	}
	return backends.Reply{
		Outcome: backends.Granted, Base: base, TTL: time.Duration(ttl) * time.Millisecond, Contended: contended != 0,
	}, true
}

// held reads 0, label, held, free, place, foreign.
func (l fields) held(p pacing) (backends.Reply, bool) {
	label, ok1 := l.text(1)
	since, ok2 := l.number(2)
	free, ok3 := l.number(3)
	place, ok4 := l.number(4)
	foreign, ok5 := l.number(5)
	if !(ok1 && ok2 && ok3 && ok4 && ok5) || place < 0 {
		return backends.Reply{}, false
	}
	return backends.Reply{
		Outcome: backends.Held,
		Holder:  label,
		HeldFor: time.Duration(max(0, since)) * time.Millisecond,
		FreeIn:  time.Duration(max(0, free)) * time.Millisecond,
		Place:   int(place),
		Retry:   p.retry(time.Duration(free)*time.Millisecond, time.Duration(since)*time.Millisecond, int(place), foreign == 1),
	}, true
}
