// Package backendtest is the suite that every backend has to pass.
//
// What a backend cannot do it declares in its Capabilities, and then the
// suite asserts the inverse: a backend that does not exclude must let two hold
// a key at once, one that declares no wakes must send none. Nothing is
// skipped silently, so a capability that is claimed or denied by mistake fails.
// Revoking, listing and starting are declared by the interface alone: a backend that
// has it has to do all of it. The checks of a Starter run twice, by its verbs that block
// and by Start.
//
// Each check is a function that returns an error, and not a test of its own.
// That way the suite can be tested as well: a backend that is broken on
// purpose has to be found out by it.
package backendtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// checkLimit bounds one check; nothing in it waits for longer than a few
// seconds on a healthy store.
const checkLimit = 2 * time.Minute

// Run puts a backend through the suite. Each call of open gives another
// session, as another process would have it, on one and the same store; the
// suite closes what it opened. Keys are unique to each check and begin with
// "pylock:", but for a few odd ones, so a store can be shared with other tests.
//
// The checks run in parallel, in a group that has ended when Run returns.
func Run(t *testing.T, open func(t *testing.T) backends.Backend) {
	t.Helper()
	can := describe(t, open)
	t.Logf("backend %+v", can)
	suite(t, "suite", can, open)
	if can.Starts {
		suite(t, "started", can, func(t *testing.T) backends.Backend { return startingOf(open(t)) })
	}
}

func suite(t *testing.T, name string, can offer, open func(t *testing.T) backends.Backend) {
	t.Run(name, func(t *testing.T) {
		for _, c := range checks() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				run, note := c.variant(can)
				if note != "" {
					t.Log(note)
				}
				ctx, stop := context.WithTimeout(t.Context(), checkLimit)
				defer stop()
				if err := exercise(ctx, can.Capabilities, run, func() backends.Backend { return open(t) }); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// An offer is what a backend can do: what it declares, and the interfaces that
// it has.
type offer struct {
	backends.Capabilities
	Revokes, Lists, Reclaims, Starts bool
}

func offerOf(b backends.Backend) offer {
	_, revokes := b.(backends.Revoker)
	_, lists := b.(backends.Lister)
	_, reclaims := b.(backends.Reclaimer)
	_, starts := b.(backends.Starter)
	return offer{Capabilities: backends.Describe(b), Revokes: revokes, Lists: lists, Reclaims: reclaims, Starts: starts}
}

func describe(t *testing.T, open func(t *testing.T) backends.Backend) offer {
	t.Helper()
	b := open(t)
	if err := b.Close(); err != nil {
		t.Fatalf("closing an unused backend: %v", err)
	}
	return offerOf(b)
}

// A check is one thing a backend must do, or, where it offers no such thing, the
// inverse that must then be seen.
type check struct {
	name  string
	run   func(*store) error
	needs func(offer) bool // nil: every backend
	// inverse runs instead where needs says no. It is never nil when needs isn't.
	inverse func(*store) error
}

// variant picks what to assert of a backend, and says so if it is the inverse.
func (c check) variant(can offer) (run func(*store) error, note string) {
	if c.needs == nil || c.needs(can) {
		return c.run, ""
	}
	return c.inverse, fmt.Sprintf("%s offers no such thing: the inverse is asserted", can.Name)
}

// exercise runs one check on a fresh set of sessions.
func exercise(ctx context.Context, caps backends.Capabilities, run func(*store) error, open func() backends.Backend) error {
	st := newStore(ctx, caps, open)
	err := run(st)
	if closing := st.close(); err == nil {
		err = closing
	}
	return err
}

func exclusive(o offer) bool { return o.Exclusive }
func fair(o offer) bool      { return o.Exclusive && o.Fair }
func wakes(o offer) bool     { return o.Wakes }
func fences(o offer) bool    { return o.Fences }
func inspects(o offer) bool  { return o.Inspects }
func revokes(o offer) bool   { return o.Revokes }
func lists(o offer) bool     { return o.Lists }
func reclaims(o offer) bool  { return o.Reclaims }
func starts(o offer) bool    { return o.Starts }

// checks lists the whole suite, a file a group.
func checks() []check {
	var all []check
	for _, group := range [][]check{
		exclusionChecks(), repeatChecks(), settleChecks(), fenceChecks(), expiryChecks(), renewChecks(), keyChecks(),
		concurrencyChecks(), cancelChecks(), queueChecks(), wakeChecks(), inspectChecks(), closeChecks(),
		revokeChecks(), whoseChecks(), deleteChecks(), listChecks(), restChecks(), reclaimChecks(), startChecks(),
		kindChecks(), kindOrderChecks(), kindEndChecks(), kindCrowdChecks(),
	} {
		all = append(all, group...)
	}
	return all
}
