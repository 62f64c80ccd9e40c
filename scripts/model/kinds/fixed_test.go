package kinds

import (
	"strings"
	"testing"
)

// A fixed interleaving breaks a check, of which breaks is a part of the words, if and only if its rule is left out.
type fixed struct {
	rule   rule
	name   string
	breaks string
	play   func(p *play)
}

func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	needed := map[rule]bool{}
	for _, list := range [][]fixed{markers, ends, orders, permits, clients, downgrades} {
		for _, f := range list {
			needed[f.rule] = true
			t.Run(f.name, func(t *testing.T) { f.check(t) })
		}
	}
	for r := everyRule + 1; r < rules; r++ {
		if !needed[r] {
			t.Errorf("no interleaving shows that rule %d is needed", r)
		}
	}
}

func (f *fixed) check(t *testing.T) {
	t.Parallel()
	with, without := newPlay(everyRule, 5, 3), newPlay(f.rule, 5, 3)
	f.play(with)
	if b := with.watch.broken; len(b) > 0 {
		t.Errorf("with all rules:\n%s", strings.Join(b, "\n"))
	}
	if f.rule == everyRule {
		return
	}
	f.play(without)
	if b := strings.Join(without.watch.broken, "\n"); !strings.Contains(b, f.breaks) {
		t.Errorf("without its rule: %q, want %q", b, f.breaks)
	}
}
