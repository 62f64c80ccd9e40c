package machine

import (
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

// A keeper is the Keeper of a play.
type keeper struct {
	kept int  // leases that linger
	full bool // no more may
	gave bool // somebody else was given the one that does
}

func (k *keeper) Keep(attempt uint64) bool {
	if attempt == 0 || k.kept != 0 {
		panic("it lingers already, or there is none")
	}
	if k.full {
		return false
	}
	k.kept++
	return true
}

func (k *keeper) Resume(uint64) bool { k.kept--; return !k.gave }
func (k *keeper) Drop()              { k.kept-- }
func (k *keeper) Key() string        { return "key" }

var (
	// byDefault: as over a backend that reclaims, where nobody has said how long.
	byDefault = start{lingers, set(func(c *Config) { c.LingerAgain = true })}
	full      = keepers(func(k *keeper) { k.full = true })
	given     = keepers(func(k *keeper) { k.gave = true })

	// usedOnce: a had the key, and nothing is left of it.
	usedOnce = byDefault.then(leasedBy("a")...).then(release("a"), answer(done))
)

func keepers(f func(*keeper)) deed {
	return func(p *play) Event {
		f(&p.keeper)
		return nil
	}
}

// lingerRows are those of keys that linger by default, or whose lease was given away.
var lingerRows = []row{
	{
		name: "by default the first lease has no room to linger", start: byDefault, event: arrive("a"), words: "Arrive",
		want: []string{"ask acquire 1 for " + ttl10.String()}, to: "asking", look: 60 * second,
	},
	{
		name: "the second has", start: usedOnce, event: arrive("b"), words: "Arrive",
		want: []string{"ask acquire 2 for " + ttlOf(11500*ms).String()}, to: "asking", look: 60 * second,
	},
	{
		name: "by default the first hold does not linger", start: byDefault.then(leasedBy("a")...), event: release("a"),
		words: "Release, nobody waits",
		want:  []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "the second does", start: usedOnce.then(leasedBy("b")...), event: release("b"),
		want: []string{"finish b", "released b"}, to: "leased", look: second,
	},
	{
		name: "… also one that it was handed on to", start: byDefault.then(leasedBy("a")...).then(arrive("b"), release("a"), taken),
		event: release("b"),
		want:  []string{"finish b", "released b"}, to: "leased", look: second,
	},
	{
		name: "too many linger", start: start{lingers, full}.then(leasedBy("a")...), event: release("a"), words: "Release, nobody waits",
		want: []string{"finish a", "ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "too many linger, and a call is under way", event: release("a"),
		start: start{lingers, full}.then(leasedBy("a")...).then(wait(firstRenewal(ttlOf(11500*ms))), tick),
		want:  []string{"finish a"}, to: "leased", look: 2 * second,
	},
	{
		name: "it was given away", start: lingering.then(given), event: arrive("b"), words: "Arrive, another has it",
		want: []string{"ask release 1"}, to: "settling", look: 60 * second,
	},
	{
		name: "it was given away, one try", start: lingering.then(given), event: arrive("b", once), words: "Arrive, another has it",
		want: []string{"ask release 1"}, to: "settling", look: 2 * second,
	},
	{
		name: "it was given away, and that is known", start: lingering.then(given), event: woken(backends.Wanted),
		words: "Woken, while it lingers",
		want:  []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "the lease is over before it has lingered", start: byDefault.then(leasedBy("a", lasting(100*ms))...).then(
			arrive("b", lasting(100*ms)), release("a"), taken, release("b")),
		after: soundOf(leaseOf(100 * ms)), event: tick, words: "Tick, the lease is over",
		want: []string{"ask release 1"}, to: "settling", look: never,
	},
	{
		name: "it lingers", start: lingering, event: panics(tick), words: "Panicked", to: "settling", look: afterPanic,
	},
	{
		name: "it lingers, and Close's time is over", start: lingering, event: panics(closeIn(0)), words: "Panicked",
		to: "settling", look: afterPanic,
	},
}

// keeps reports whether the lease lingers, or the only share.
func (p *play) keeps() bool {
	s := p.m.sharing
	return p.m.leased.kept || s != nil && len(s.shares) > 0 && s.shares[0].kept
}

// TestWhatLingersIsCounted: in each row the Keeper knows of a lease that lingers exactly
// while it does, whatever ends that.
func TestWhatLingersIsCounted(t *testing.T) {
	ends := map[string]bool{}
	for _, r := range table() {
		from, event, p := r.cell()
		kept := p.keeper.kept
		if before := p.keeps(); before != (kept == 1) || before && from != "leased" && from != "sharing" {
			t.Errorf("%s, %s, %s: before that the Keeper knows of %d, it lingers: %t", from, event, r.name, kept, before)
		}
		p.tries(r.event)
		if after := p.keeps(); after != (p.keeper.kept == 1) || p.keeper.kept < 0 {
			t.Errorf("%s, %s, %s: the Keeper knows of %d, it lingers: %t", from, event, r.name, p.keeper.kept, after)
		}
		if kept > p.keeper.kept {
			ends[event] = true
		}
	}
	for _, event := range []string{"Arrive", "Woken Wanted", "Woken Revoking", "Tick", "Close", "Panicked"} {
		if !ends[event] {
			t.Errorf("no row in which %s ends it", event)
		}
	}
}
