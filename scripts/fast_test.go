package scripts_test

import (
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestItemsOfFastsReply: an item answers the attempt whose number it begins with, and says what
// the script's header lists for its verb; anything else is no answer.
func TestItemsOfFastsReply(t *testing.T) {
	token := backends.NewSession().Token(37).Wire()
	const mine, other = "000000000037", "000000000038"
	for _, row := range []struct {
		name, item            string
		freed, isFree, isTake bool
		base                  uint64
	}{
		{name: "freed", item: mine + "1", freed: true, isFree: true},
		{name: "in full", item: mine + "0", isFree: true, isTake: true},
		{name: "granted", item: mine + "1700000000000000", isTake: true, base: 1_700_000_000_000_000},
		{name: "granted before 2001", item: mine + "0946684800000000", isTake: true, base: 946_684_800_000_000},
		{name: "the last base", item: mine + "9007199254740991", isTake: true, base: 1<<53 - 1},
		{name: "a base too far", item: mine + "9007199254740992"},
		{name: "a base of 15 digits", item: mine + "170000000000000"},
		{name: "a base of 17 digits", item: mine + "17000000000000000"},
		{name: "a base of 20 digits", item: mine + "00001700000000000000"},
		{name: "no base", item: mine + "0000000000000000"},
		{name: "a signed base", item: mine + "+170000000000000"},
		{name: "a negative base", item: mine + "-170000000000000"},
		{name: "a base with an exponent", item: mine + "1.70000000000e15"},
		{name: "a base with a line's end", item: mine + "170000000000000\n"},
		{name: "something else", item: mine + "2"},
		{name: "two answers", item: mine + "01"},
		{name: "an answer and a space", item: mine + "1 "},
		{name: "no answer", item: mine},
		{name: "nothing", item: ""},
		{name: "a short number", item: mine[1:] + "1"},
		{name: "another's", item: other + "1"},
		{name: "another's in full", item: other + "0"},
		{name: "another's base", item: other + "1700000000000000"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if freed, ok := scripts.ReadFree(row.item, token); freed != row.freed || ok != row.isFree {
				t.Errorf("as a free: %v, %v", freed, ok)
			}
			if base, ok := scripts.ReadTake(row.item, token); base != row.base || ok != row.isTake {
				t.Errorf("as a take: %d, %v", base, ok)
			}
		})
	}
	if n := testing.AllocsPerRun(10, func() {
		freed, _ := scripts.ReadFree(mine+"1", token)
		base, _ := scripts.ReadTake(mine+"1700000000000000", token)
		if !freed || base == 0 {
			t.Error("no answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
