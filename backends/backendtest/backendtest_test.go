package backendtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Prepare(16)
	goleak.VerifyTestMain(m)
}

var (
	_ backends.Canceler  = (*fake)(nil)
	_ backends.Inspector = (*fake)(nil)
	_ backends.Describer = (*fake)(nil)
	_ backends.Revoker   = (*fake)(nil)
	_ backends.Lister    = (*fake)(nil)
)

func TestASoundBackendPasses(t *testing.T) {
	store := newShelf(sound)
	Run(t, func(*testing.T) backends.Backend { return &fake{shelf: store} })
}

// TestABrokenBackendIsFoundOut breaks the fake in one way at a time; the check
// that is made for it has to fail.
func TestABrokenBackendIsFoundOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault
		found string // the check that must notice
	}{
		{"no exclusion", grantsAll, "a held key is not granted to another session"},
		{"no exclusion, by its count", grantsAll, "one try of many sessions together has one winner"},
		{"release without a look at the token", releasesBlindly, "release with another token leaves the lease alone"},
		{"release of a newer lease", releasesBlindly, "an old token never touches a newer lease"},
		{"renew without a look at the token", renewsBlindly, "renew with another token leaves the lease alone"},
		{"fences that repeat", repeatsFences, "bases grow over releases"},
		{"fences that repeat in renewals", repeatsFences, "bases grow over renewals"},
		{"fences that repeat after expiry", repeatsFences, "bases grow over expiries"},
		{"fences that repeat after reopening", repeatsFences, "bases grow when a backend is closed and opened again"},
		{"late copies granted after release", forgetsSettled, "a released attempt is never granted again"},
		{"late copies granted after cancel", forgetsSettled, "a cancelled attempt is never granted again"},
		{"late copies granted, cancel first", forgetsSettled, "an attempt cancelled before it arrived is never granted"},
		{"ambiguous attempts refused", refusesAmbiguous, "an ambiguous attempt is served as any other"},
		{"one settled number for all keys", settlesAllKeys, "settling an attempt settles nothing on other keys"},
		{"keys folded to lower case", foldsCase, "odd keys are kept apart"},
		{"leases that end early", expiresEarly, "an expired lease goes to the next, and not before its end"},
		{"leases that never end", neverExpires, "an expired lease can be neither renewed nor released"},
		{"ttls rounded down", roundsDown, "ttls round up and never down"},
		{"stale renewals shorten", shortensOnStale, "a renewal with a stale base never shortens"},
		{"a later lease renewed", renewsLater, "a renewal spares a later lease of its attempt"},
		{"no renewal shortens", neverShortens, "a renewal with the newest base shortens"},
		{"a session has what it holds again", reentrant, "a held key is not granted to another attempt of its own session"},
		{"one try takes a place", queuesOneTry, "one try leaves no trace"},
		{"cancel keeps the place", cancelKeepsPlace, "cancel after held leaves the queue"},
		{"cancel keeps the lease", cancelKeepsLease, "cancel gives back a lease that had just been granted"},
		{"newcomers barge", barges, "nobody barges past a waiter"},
		{"the last is first", lastFirst, "waiters are served in the order of their arrival"},
		{"the last is first after expiry", lastFirst, "an expired lease goes to the first waiter"},
		{"silent waiters block", keepsSilent, "a waiter that went silent is skipped"},
		{"closed waiters block", keepsSilent, "a waiter whose session closed is skipped"},
		{"waiters kept from the holder", hidesWaiters, "the holder is told that others wait"},
		{"waiters kept from inspect", hidesWaiters, "inspect counts those who wait"},
		{"waiters kept from a list", hidesWaiters, "inspect names those who wait, in their order"},
		{"waiters listed from the last", namesLastFirst, "inspect names those who wait, in their order"},
		{"waiters by another's name", namesTheHolder, "inspect names those who wait, in their order"},
		{"a first base that moves", movesFirst, "inspect tells of a held key, and never its token"},
		{"a reason that is lost", hidesReason, "the reason of a revocation reaches the holder"},
		{"the reason of another lease", keepsReason, "the reason of a revocation reaches the holder"},
		{"the token told", tellsToken, "inspect tells of a held key, and never its token"},
		{"the context's error lost", losesContext, "a cancelled context leaves no lease"},
		{"open after close", worksAfterClose, "verbs after close fail and grant nothing"},
		{"close without an end", worksAfterClose, "close ends the calls under way"},
		{"close of one closes all", closesAll, "one session's close leaves the others at work"},
		{"close again fails", failsSecondClose, "closing again is nil"},
		{"a repeated acquire is held", secondAcquireFails, "a repeated acquire finds its own lease"},
		{"a repeated release is nil", releaseTwiceIsNil, "a repeated release is not held"},
		{"revoked before its holder knows", revokesAtOnce, "a revoked lease goes to the next when it is released, and not before"},
		{"a key revoked for good", revokesForGood, "a lease after a revoked one is not revoked"},
		{"a revoked lease renewed", renewsRevoked, "a revoked lease is not renewed, and still its holder's"},
		{"a revoked lease renewed, without wakes", renewsRevoked, "the holder of a revoked lease is told"},
		{"a revoked lease renewed, on odd keys", renewsRevoked, "leases on odd keys are revoked apart"},
		{"a revoked lease made longer", lengthensRevoked, "a revoked lease is never made longer"},
		{"a revoked lease made longer by a repeat", repeatsRevoked, "a revoked lease is never made longer"},
		{"a mark that is not shown", hidesRevoked, "a revoked lease is not renewed, and still its holder's"},
		{"whatever base is given revokes", ignoresBase, "an earlier lease's base revokes nothing"},
		{"whatever base is given deletes", ignoresBase, "a deletion by base spares other leases"},
		{"only the newest base revokes", knowsNewestBase, "every base that the lease has minted revokes it"},
		{"a free key revoked", marksAnything, "a key that nobody holds is not revoked"},
		{"a free key revoked that is promised", marksAnything, "a lease that its waiter has not come for is its own, or nobody's yet"},
		{"a mark that comes after the look", marksLate, "a base revokes no later lease, though they cross"},
		{"a deleted lease kept", keepsDeleted, "a deleted lease goes to the next at once"},
		{"a deleted lease kept from others", keepsDeleted, "a deleted lease leaves the key free"},
		{"fences that repeat after a deletion", repeatsFences, "bases grow over deletions"},
		{"revoke after close", worksAfterClose, "revoke and list fail after close"},
		{"free keys listed", listsFree, "free keys are not listed"},
		{"free keys listed with no prefix", listsFree, "an empty prefix lists every lock"},
		{"keys listed in any order", listsUnsorted, "held keys are listed by their prefix, sorted"},
		{"keys listed twice", listsTwice, "odd keys are listed as they are"},
		{"a prefix taken for a pattern", listsByPattern, "a prefix is no pattern"},
		{"the first of many keys listed", listsFirst, "many keys are listed, each once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := attempt(t, tt.found, tt.fault)
			if err == nil {
				t.Fatalf("%q did not notice", tt.found)
			}
			t.Log(err)
		})
	}
}

// attempt runs one check by its name against a fake with one fault. Its
// context is short: a check that waits for what never comes must not hang.
func attempt(t *testing.T, name string, f fault) error {
	t.Helper()
	store := newShelf(f)
	open := func() backends.Backend { return &fake{shelf: store} }
	for _, c := range checks() {
		if c.name == name {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			return exercise(ctx, (&fake{}).Capabilities(), c.run, open)
		}
	}
	t.Fatalf("no check is called %q", name)
	return nil
}

// TestWhatIsDeniedIsAssertedToo: a capability denied by mistake fails as well.
func TestWhatIsDeniedIsAssertedToo(t *testing.T) {
	store := newShelf(sound)
	open := func() backends.Backend { return &fake{shelf: store} }
	for _, c := range checks() {
		denied := strings.HasPrefix(c.name, "inspect tells") || c.name == "a held key is not granted to another session"
		if !denied {
			continue
		}
		run, note := c.variant(offer{Capabilities: backends.Capabilities{Name: "fake"}})
		if note == "" {
			t.Errorf("%q runs as if the capability were declared", c.name)
		}
		if err := exercise(t.Context(), backends.Capabilities{}, run, open); err == nil {
			t.Errorf("the inverse of %q passes a backend that can", c.name)
		}
	}
}

// TestChecksAreWellFormed: names are unique, and what needs a capability says
// what is asserted without it.
func TestChecksAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks() {
		if seen[c.name] {
			t.Errorf("two checks are called %q", c.name)
		}
		seen[c.name] = true
		if c.run == nil || (c.needs == nil) != (c.inverse == nil) {
			t.Errorf("%q lacks its inverse, or has one that can't run", c.name)
		}
	}
}
