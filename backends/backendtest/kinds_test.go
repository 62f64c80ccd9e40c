package backendtest

import (
	"context"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func TestASoundSharerPasses(t *testing.T) {
	open := sharersOf(newShelf(sound))
	can := offerOf(open())
	for _, c := range checks() {
		if c.needs == nil || !c.needs(offer{Capabilities: backends.Capabilities{Kinds: true, Exclusive: true, Fair: true, Wakes: true, Inspects: true}, Revokes: true, Lists: true}) ||
			c.needs(offer{Capabilities: backends.Capabilities{Exclusive: true, Fair: true, Wakes: true, Inspects: true}, Revokes: true, Lists: true}) {
			continue // not of kinds
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run, note := c.variant(can)
			if note != "" {
				t.Fatal(note)
			}
			if err := exercise(t.Context(), can.Capabilities, run, open); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestABrokenSharerIsFoundOut is TestABrokenBackendIsFoundOut for what only a Sharer can do wrong.
func TestABrokenSharerIsFoundOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault
		found string
	}{
		{"a lock beside shares", locksBeside, "shares are held together, and nothing else beside them"},
		{"kinds that mix", mixesKinds, "shares are held together, and nothing else beside them"},
		{"shares that exclude one another", joinsOnce, "shares are held together, and nothing else beside them"},
		{"shares that are said to be a lock", hidesKind, "shares are held together, and nothing else beside them"},
		{"another count of them", hidesOut, "shares are held together, and nothing else beside them"},
		{"a share beside a lock", locksAreShared, "no share is granted beside a lock"},
		{"a lock that stays one", givenStaysLock, "shares are held together, and nothing else beside them"},
		{"all shares of a session end at once", endsAll, "a session has several shares of a key"},
		{"a lock beside its own share", locksBeside, "a session waits for the key alone beside its own share"},
		{"permits without a limit", countsNothing, "no more permits are given than each caller says there are"},
		{"permits counted by their shares", countsHolders, "no more permits are given than each caller says there are"},
		{"a small number that is not looked at", countsNothing, "a permit of a smaller number waits until fewer are out"},
		{"a sequence of bases a share", ownSequences, "bases of shares and locks grow in one order"},
		{"one try keeps a place", triesStay, "one try for a share leaves no trace"},
		{"a reader past a writer", overtakes, "no reader barges past a writer that waits"},
		{"a permit past one that waits", overtakes, "no permit is taken from one that came before"},
		{"five past two", ignoresBinds, "one of a smaller number is not overtaken for ever"},
		{"a place that stays", keepsPlaceAhead, "one that cancels makes way for those behind it"},
		{"a lock that stays one for its waiter", givenStaysLock, "readers that wait together come in together"},
		{"another count of many", hidesOut, "many sessions share a key once it is free"},
		{"whoever asks after the last share", lastShareFrees, "the last share goes to the first that waits"},
		{"a downgrade that lets all in", overtakes, "a lock that becomes a share lets in those at the head"},
		{"a downgrade that is none", downgradeIsLock, "a lock that becomes a share is one however often it is said"},
		{"a downgrade that begins anew", downgradeStarts, "a lock that becomes a share is one however often it is said"},
		{"a downgrade of any lock", downgradeHits, "a late copy of a downgrade leaves the next lock alone"},
		{"only the first is told", forgetsSharers, "those that share are told that others wait"},
		{"renewals that say nothing", saysNobodyWaits, "those that share are told that others wait"},
		{"all shares end with one", endsAll, "a share ends alone"},
		{"a cancel that leaves the share", cancelsNoShare, "a share ends alone"},
		{"a copy that comes late", grantsEndedShare, "an ended share is never granted again"},
		{"shares for ever", sharesNeverEnd, "a share of a session that ended is free, and the others go on"},
		{"as long as the longest", longestStays, "the key is free when the last share is over, though a longer one ended"},
		{"renewals that do nothing", renewsNoShare, "a renewed share outlives its first ttl"},
		{"stale renewals shorten", staleShortensShare, "a stale renewal never shortens a share, and the newest does"},
		{"none shortens", newestShortensNothing, "a stale renewal never shortens a share, and the newest does"},
		{"a later share renewed", renewsLaterShare, "a renewal spares a later share of its attempt"},
		{"permits that come again", permitsGrow, "permits that are given back are others', and don't come again"},
		{"bases in between", revokesWithin, "a base revokes the share that it names"},
		{"a revoked share renewed", renewsRevokedShare, "a base revokes the share that it names"},
		{"one of all", revokesFirst, "without a base all shares are revoked"},
		{"a deleted share kept", keepsDeletedShare, "a deleted share is gone, and the others go on"},
		{"all deleted", deletesAllShares, "a deleted share is gone, and the others go on"},
		{"deleted shares kept", keepsDeletedShare, "deleted shares leave the key to the first that waits"},
		{"no holders", hidesHolders, "inspect names those that share"},
		{"no kinds of those that wait", hidesWishes, "inspect names those that share"},
		{"its own waiter counts", countsOwnWaiter, "a session waits for the key alone beside its own share"},
		{"silent ones are in the way", keepsSilent, "one that waits for a shared key and went silent is skipped"},
		{"an old wish", forgetsNewWishes, "inspect names those that share"},
		{"a share renewed that is over", renewsExpired, "a renewal spares a later share of its attempt"},
		{"the last permit", lastPermitTold, "who waits for a permit learns when the first ends"},
		{"a repeat that shortens", repeatShortens, "a stale renewal never shortens a share, and the newest does"},
		{"a revoked share made longer", revokedShareLonger, "a revoked share is never made longer"},
		{"a revoked lock that becomes a share", turnsRevoked, "a revoked lock is not renewed as a share"},
		{"another reason", latestReason, "a base revokes the share that it names"},
		{"permits without a limit in a crowd", countsNothing, "many sessions that want all kinds keep apart"},
		{"locks beside shares in a crowd", locksBeside, "many sessions that want all kinds keep apart"},
		{"a shared key left out", listsNoShares, "a shared key is listed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			open := sharersOf(newShelf(tt.fault))
			for _, c := range checks() {
				if c.name != tt.found {
					continue
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				err := exercise(ctx, (&fakeSharer{fake: &fake{}}).Capabilities(), c.run, open)
				if err == nil {
					t.Fatalf("%q did not notice", tt.found)
				}
				t.Log(err)
				return
			}
			t.Fatalf("no check is called %q", tt.found)
		})
	}
}
