package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

const (
	// heartbeat is how often a queued attempt is repeated at the latest: it keeps
	// the place in the queue alive, and bounds what a lost wake costs.
	heartbeat = 300 * time.Millisecond
	// aliveFor is how long it does so, unless the request says.
	aliveFor = time.Second
	// aliveMost is the most that the scripts have columns for, in whole hours.
	aliveMost = 27 * time.Hour
	// poll is the pace where no wake will come: the holder is another library's
	// client and publishes nothing, or the attempt is not queued.
	poll = 50 * time.Millisecond
	// past is what an attempt waits beyond a lease's end, as told in whole
	// milliseconds: before that the key is still there.
	past = 2 * time.Millisecond
)

// A fault is an error together with what it means for an acquire.
type fault struct {
	outcome backends.Outcome
	cause   error
}

// faultOf reads what came in place of a reply.
func faultOf(err error) *fault {
	var reply *engine.ErrorReply
	switch {
	case errors.Is(err, backends.ErrClosed):
		return &fault{backends.NotRun, backends.ErrClosed}
	case errors.As(err, &reply) && strings.HasPrefix(reply.Message, "WRONGTYPE"):
		// Every verb reads before it writes, so it wrote nothing.
		return &fault{backends.NotRun, backends.Refused(backendName, "the key holds something that is no lock", err)}
	}
	return &fault{backends.MayHaveRun, backends.Unavailable(backendName, err)}
}

// unexpected is the error of a reply that no script of this module makes.
func unexpected(r keyspace.Reply) error {
	return backends.Unavailable(backendName, fmt.Errorf("unexpected reply %+v", r))
}

// shaped says whether a reply is an array of at least n that begins with an integer.
func shaped(r keyspace.Reply, n int) bool {
	return r.Kind == keyspace.Array && len(r.Array) >= n && r.Array[0].Kind == keyspace.Integer
}

// to returns what stands behind the attempt's number in a reply, and nothing of a reply to another attempt.
func to(t backends.Token, r keyspace.Reply) keyspace.Reply {
	if !shaped(r, 1) || uint64(r.Array[0].Int) != t.Attempt() {
		return keyspace.Reply{}
	}
	r.Array = r.Array[1:]
	return r
}

// acquired reads the reply of acquire.lua to t.
func acquired(r keyspace.Reply, t backends.Token, queued bool) (backends.Reply, error) {
	said := to(t, r)
	switch {
	case shaped(said, 4) && said.Array[0].Int == 1:
		return granted(said)
	case shaped(said, 6) && said.Array[0].Int == 0:
		return held(said.Array, queued), nil
	case shaped(said, 1) && said.Array[0].Int == -1:
		return backends.Reply{Outcome: backends.NotRun}, backends.Unavailable(backendName, backends.ErrSettled)
	}
	return backends.Reply{Outcome: backends.MayHaveRun}, unexpected(r)
}

// granted reads 1, base, ttl, contended, of acquire and of renew.
func granted(r keyspace.Reply) (backends.Reply, error) {
	base, err := strconv.ParseUint(r.Array[1].Str, 10, 64)
	if err != nil {
		return backends.Reply{Outcome: backends.MayHaveRun}, unexpected(r)
	}
	return backends.Reply{
		Outcome:   backends.Granted,
		Base:      base,
		TTL:       time.Duration(r.Array[2].Int) * time.Millisecond,
		Contended: r.Array[3].Int == 1,
	}, nil
}

// held reads 0, label, held, free, place, foreign.
func held(r []keyspace.Reply, queued bool) backends.Reply {
	free := time.Duration(r[3].Int) * time.Millisecond
	return backends.Reply{
		Outcome: backends.Held,
		Holder:  r[1].Str,
		HeldFor: max(0, time.Duration(r[2].Int)*time.Millisecond),
		FreeIn:  max(0, free),
		Place:   int(r[4].Int),
		Retry:   retry(free, queued, r[5].Int == 1),
	}
}

// retry is when to ask again, unless a wake comes first. free is 0 when the
// lock is promised to another, and negative when it never ends.
func retry(free time.Duration, queued, foreign bool) time.Duration {
	pace := heartbeat
	if foreign || !queued || free == 0 {
		pace = poll
	}
	if free > 0 {
		pace = min(pace, free+past)
	}
	return pace
}

// renewed reads the reply of renew.lua to t.
func renewed(r keyspace.Reply, t backends.Token) (backends.Reply, error) {
	said := to(t, r)
	switch {
	case shaped(said, 4) && said.Array[0].Int == 1:
		return granted(said)
	case shaped(said, 1) && said.Array[0].Int == 0:
		return backends.Reply{}, backends.ErrNotHeld
	case shaped(said, 1) && said.Array[0].Int == 2:
		return backends.Reply{}, backends.ErrRevoked
	}
	return backends.Reply{}, unexpected(r)
}

// released reads the reply of release.lua to t.
func released(r keyspace.Reply, t backends.Token) error {
	said := to(t, r)
	switch {
	case shaped(said, 3) && said.Array[0].Int == 1:
		return nil
	case shaped(said, 2) && said.Array[0].Int == 0:
		return backends.ErrNotHeld
	}
	return unexpected(r)
}

// cancelled reads the reply of cancel.lua to t.
func cancelled(r keyspace.Reply, t backends.Token) error {
	if !shaped(to(t, r), 2) {
		return unexpected(r)
	}
	return nil
}

// found are the numbers of revoke.lua's reply.
var found = [...]backends.Revoked{
	backends.NobodyHolds, backends.Superseded, backends.Foreign, backends.Marked, backends.Deleted,
}

// revoked reads the reply of revoke.lua.
func revoked(r keyspace.Reply) (backends.Revoked, error) {
	if !shaped(r, 1) || r.Array[0].Int < 0 || int(r.Array[0].Int) >= len(found) {
		return backends.NobodyHolds, unexpected(r)
	}
	return found[r.Array[0].Int], nil
}

// inspected reads the reply of inspect.lua: {state, label, held, ends, base,
// waiting, revoked, first, waiters}. It returns true if shares are out, of which that tells nothing.
func inspected(r keyspace.Reply) (_ backends.Info, shared bool, _ error) {
	if !shaped(r, 9) {
		return backends.Info{}, false, unexpected(r)
	}
	a := r.Array
	waiting := int(a[5].Int)
	info := backends.Info{Held: a[0].Int != 0, Foreign: a[0].Int == 2, Resting: a[0].Int == 3, Revoked: a[6].Int == 1, Waiting: &waiting}
	if base, err := strconv.ParseUint(a[4].Str, 10, 64); err == nil {
		info.Base = &base
	}
	if first, err := strconv.ParseUint(a[7].Str, 10, 64); err == nil {
		info.First = &first
	}
	if label := a[1].Str; label != "" {
		info.Holder = &label
	}
	info.Waiters = []backends.Waiter{}
	for said := range slices.Chunk(a[8].Array, 4) { // label, ms, kind, n
		w := backends.Waiter{For: knownTime(said[1].Int), Kind: kindOf(said[2]), N: int(said[3].Int)}
		if label := said[0].Str; label != "" {
			w.Label = &label
		}
		info.Waiters = append(info.Waiters, w)
	}
	info.HeldFor = knownTime(a[2].Int)
	info.ExpiresIn = knownTime(a[3].Int)
	return info, a[0].Int == 4, nil
}

// kindOf reads the letter of a kind.
func kindOf(r keyspace.Reply) backends.Kind {
	return backends.Kind(max(0, strings.Index(scripts.KindLetters, r.Str)))
}

// knownTime is a time the scripts tell, nil where they say unknown.
func knownTime(ms int64) *time.Duration {
	if ms < 0 {
		return nil
	}
	d := time.Duration(ms) * time.Millisecond
	return &d
}
