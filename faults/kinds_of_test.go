//go:build unix

package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest/history"
	"github.com/turnstile-go/turnstile/lockclient"
)

// A kindOf is the kind of a hold, with n of Slots(n).
type kindOf struct {
	kind backends.Kind
	n    int
}

func (k kindOf) String() string {
	if k.kind == backends.Slots {
		return fmt.Sprintf("one of %d slots", k.n)
	}
	return k.kind.String()
}

func (k kindOf) options() []lockclient.Option {
	switch k.kind {
	case backends.Shared:
		return []lockclient.Option{lockclient.Shared()}
	case backends.Slots:
		return []lockclient.Option{lockclient.Slots(k.n)}
	}
	return nil
}

// anyKind is one of all kinds, slots of different n among them.
func anyKind() kindOf {
	switch rand.N(5) {
	case 0:
		return kindOf{}
	case 1, 2:
		return kindOf{kind: backends.Shared}
	}
	return kindOf{backends.Slots, []int{1, 2, 3, 5}[rand.N(4)]}
}

// recorded are claims as package history checks them.
func recorded(lists ...[]entry) (all []history.Hold) {
	for _, e := range slices.Concat(lists...) {
		all = append(all, history.Hold{
			Process: e.process, Kind: e.kind, N: e.n, Fence: e.fence, Asked: e.asked, Granted: e.granted, Ended: e.ended,
		})
	}
	return all
}
