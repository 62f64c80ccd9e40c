package machine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// tell puts the effects of the last step into words:
//
//	offer a 101.0 for 10s, handed on        hold, base and number of its fence, its time
//	refuse a: overloaded                    what errors.Is finds
//	time out a: held                        held, or silent, as Why says
//	let a · let a: closed
//	end a: lost by cut
//	revoke a: lost, not held, revoked
//	move a to 10s                           from now
//	wanted a
//	released a · released a: unavailable
//	extended a · disowned ours · disowned nothing
//	ask acquire 1 for 10.658s               · as its owner, · one try, · probe 2, · within 1s
//	ask renew 1 for 10.658s over 101        over the newest base it knows
//	ask renew 1 slots 2 of 3 for …          of another kind; permits it keeps, and how many slots there are
//	ask release 1 · ask cancel 1 · ask look · …, ambiguous · …, to rest 1m0s
//	drop renew 1 · undo acquire 1
//	warn a after 300ms: unavailable · leak: unavailable
func (p *play) tell() []string {
	var told []string
	for i := range p.did {
		told = append(told, p.tellOne(&p.did[i]))
	}
	return told
}

func (p *play) tellOne(e *Effect) string {
	words := map[Kind]string{
		Offer: "offer", Refuse: "refuse", TimeOut: "time out", Finish: "finish", End: "end", Revoke: "revoke", Move: "move", Wanted: "wanted",
		Released: "released", Extended: "extended", Disowned: "disowned", Ask: "ask", Drop: "drop", Undo: "undo",
		Warn: "warn", Leak: "leak",
	}[e.Kind]
	if e.Hold != nil {
		words += " " + e.Hold.Tag.(string)
	}
	switch e.Kind {
	case Offer:
		words += fmt.Sprintf(" %d.%d for %v", e.Hold.Fence>>10, e.Hold.Fence&1023, e.Hold.Deadline.Sub(p.now))
		if e.Hold.Handoff {
			words += ", handed on"
		}
	case TimeOut:
		return words + ": " + tellWhy(e.Why)
	case Move:
		words += fmt.Sprintf(" to %v", e.Hold.Deadline.Sub(p.now))
	case Extended:
		words += " " + e.Extension.Hold.Tag.(string)
	case Disowned:
		words += map[bool]string{true: " ours", false: " nothing"}[e.Disowning.Ours]
	case Ask:
		words += " " + tellCall(e.Call)
	case Drop, Undo:
		words += fmt.Sprintf(" %v %d", e.Call.Verb, e.Call.Attempt)
	case Warn:
		words += fmt.Sprintf(" after %v", e.Since)
	}
	if e.Err != nil {
		words += ": " + tellError(e.Err)
	}
	return words
}

func tellCall(c *Call) string {
	words := c.Verb.String()
	if c.Verb != Looking {
		words += fmt.Sprintf(" %d", c.Attempt)
	}
	if c.Kind != backends.Exclusive {
		words += fmt.Sprintf(" %v", c.Kind)
	}
	if c.N > 0 {
		words += fmt.Sprintf(" %d of %d", c.Want, c.N)
	}
	switch c.Verb {
	case Acquiring:
		words += fmt.Sprintf(" for %v", c.TTL)
		if c.Owner != "me" {
			words += " as " + c.Owner
		}
		if !c.Queue {
			words += ", one try"
		}
		if c.Probe > 0 {
			words += fmt.Sprintf(", probe %d", c.Probe)
		}
	case Renewing:
		words += fmt.Sprintf(" for %v over %d", c.TTL, c.Known)
	}
	if c.AtLeast > 0 {
		words += fmt.Sprintf(", to rest %v", c.AtLeast)
	}
	if c.Ambiguous {
		words += ", ambiguous"
	}
	if c.Long {
		words += ", long"
	}
	if c.Budget != Patience {
		words += fmt.Sprintf(", within %v", c.Budget)
	}
	return words
}

// tellWhy names what an acquire waited for, and the error of a backend that was
// silent; why_test.go looks at the rest.
func tellWhy(w *Why) string {
	switch {
	case w.Silent && w.Held:
		return "silent, and held"
	case w.Silent && w.Err != nil:
		return "silent: " + tellError(w.Err)
	case w.Silent:
		return "silent"
	case w.Held:
		return "held"
	}
	return "nothing"
}

func tellError(err error) string {
	var words []string
	if errors.Is(err, backends.ErrDeadlock) {
		return "deadlock" // which is an ErrHeld as well
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{backends.ErrLost, "lost"}, {backends.ErrNotHeld, "not held"}, {backends.ErrRevoked, "revoked"},
		{backends.ErrExpired, "expired"}, {backends.ErrClosed, "closed"}, {backends.ErrOverloaded, "overloaded"},
		{backends.ErrInvalid, "invalid"}, {backends.ErrTimeout, "timeout"}, {backends.ErrHeld, "held"},
		{backends.ErrUnavailable, "unavailable"}, {backends.ErrRefused, "refused"}, {backends.ErrSettled, "settled"},
		{backends.WrongType, "wrong type"}, {backends.WrongLogin, "wrong login"}, {backends.Loading, "loading"},
		{errCut, "cut"}, {errOops, "oops"}, {errNoAnswer, "no answer"}, {errUsedUp, "used up"},
	} {
		if errors.Is(err, known.err) {
			words = append(words, known.name)
		}
	}
	if words == nil {
		return "unknown"
	}
	return strings.Join(words, ", ")
}

// The rules of design, in numbers.

// ttlOf is the lease for what has to last that long: that and 50 ms, over 0.99, up to
// the next ms and one more. A margin of more than a tenth is a tenth.
func ttlOf(need time.Duration) time.Duration {
	ttl := (need + 50*ms) * 100 / 99
	if ttl-need > ttl/10 {
		ttl = need * 10 / 9
	}
	return (ttl + ms - 1).Truncate(ms) + ms
}

// leaseOf is the lease for a hold of that length: with slack, that or 500 ms.
func leaseOf(expires time.Duration) time.Duration {
	return ttlOf(expires + min(expires, 500*ms))
}

// soundOf is how much of a lease this process uses: without 1 % and 50 ms, or a tenth.
func soundOf(ttl time.Duration) time.Duration {
	return max(ttl-ttl/100-50*ms, ttl-ttl/10)
}

// firstRenewal is when a new lease is first renewed, by a Chance of 0: after half of
// a third of it; later ones after three quarters of a third.
func firstRenewal(ttl time.Duration) time.Duration { return ttl / 6 }
func laterRenewal(ttl time.Duration) time.Duration { return ttl / 4 }
