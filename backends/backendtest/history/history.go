// Package history checks recorded holds of one key, of all kinds, against what locks promise. A test records what
// each caller saw, by one clock, and learns of the first breach in words.
package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A Hold is what one caller saw. Its times are ns of one clock, that of all processes.
type Hold struct {
	Process int
	Kind    backends.Kind
	N       int    // of slots: what the caller said
	Fence   uint64 // 0: unknown
	Nested  bool   // within a hold of its own caller: nobody's turn
	Asked   int64  // when it was about to ask
	Granted int64  // when it knew that it had the key; 0: never
	Ended   int64  // when it was about to release it, knew that it was lost, or gave up
}

func (h Hold) String() string {
	what := h.Kind.String()
	if h.Kind == backends.Slots {
		what = fmt.Sprintf("slots(%d)", h.N)
	}
	if h.Granted == 0 {
		return fmt.Sprintf("process %d asked for %s at %v, and gave up after %v", h.Process, what, time.Duration(h.Asked), time.Duration(h.Ended-h.Asked))
	}
	return fmt.Sprintf("process %d had %s, fence %d, asked at %v, granted at %v, for %v", h.Process, what, h.Fence,
		time.Duration(h.Asked), time.Duration(h.Granted), time.Duration(h.Ended-h.Granted))
}

// granted returns the holds that were granted, in the order of their grants.
func granted(all []Hold) []Hold {
	all = slices.DeleteFunc(slices.Clone(all), func(h Hold) bool { return h.Granted == 0 })
	slices.SortStableFunc(all, func(a, b Hold) int { return cmp.Or(cmp.Compare(a.Granted, b.Granted), cmp.Compare(a.Ended, b.Ended)) })
	return all
}

// Overlaps checks that exclusive holds overlap nothing, shared ones only shared, and slot holds only slot holds: and of
// those that say n, or less, never more than n. A hold lasts from its grant to just before its end. excused, if not nil,
// forgives that the one which began later overlaps the other.
func Overlaps(all []Hold, excused func(before, h Hold) bool) error {
	var there []Hold
	for _, h := range granted(all) {
		there = slices.DeleteFunc(there, func(o Hold) bool { return o.Ended <= h.Granted })
		said := []int{h.N}
		for _, o := range there {
			switch {
			case excused != nil && excused(o, h):
			case o.Kind != h.Kind || h.Kind == backends.Exclusive:
				return fmt.Errorf("OVERLAP: %v; %v", o, h)
			case h.Kind == backends.Slots:
				said = append(said, o.N)
			}
		}
		slices.Sort(said)
		for i, n := range said {
			// So many say n or less, at least.
			if h.Kind == backends.Slots && i+1 > n {
				return fmt.Errorf("OVERLAP: %d slot holds that say %d or less, with %v", i+1, n, h)
			}
		}
		there = append(there, h)
	}
	return nil
}

// Fences checks that fences of exclusive holds grow in the order of grants; that those of others are above all exclusive
// ones before them and below all after them; and that none comes twice in a process.
func Fences(all []Hold) error {
	type of struct {
		process int
		fence   uint64
	}
	seen := make(map[of]bool)
	var alone, highest Hold // the highest of those that were exclusive, and of all
	for _, h := range granted(all) {
		if h.Fence == 0 {
			continue
		}
		before := alone
		if h.Kind == backends.Exclusive {
			before = highest
		}
		if h.Fence <= before.Fence {
			return fmt.Errorf("FENCE: %v; %v", before, h)
		}
		if seen[of{h.Process, h.Fence}] {
			return fmt.Errorf("FENCE: twice in its process: %v", h)
		}
		seen[of{h.Process, h.Fence}] = true
		if h.Kind == backends.Exclusive {
			alone = h
		}
		if h.Fence > highest.Fence {
			highest = h
		}
	}
	return nil
}
