package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// What ls, show, run and release say of keys that several processes hold.

// kindOf is the kind of what is held, and by how many: slots 2 of 3.
func kindOf(i lockclient.Info) string {
	switch {
	case !i.Held || i.Resting:
		return unknown
	case i.Kind == lockclient.KindShared && i.Out > 0:
		return fmt.Sprintf("shared by %d", i.Out)
	case i.Kind == lockclient.KindSlots && i.Slots > 0:
		return fmt.Sprintf("slots %d of %d", i.Out, i.Slots)
	case i.Kind == lockclient.KindSlots && i.Out > 0:
		return fmt.Sprintf("slots %d", i.Out)
	}
	return i.Kind.String()
}

// eachHolder returns an Info for each holder of a key, as if it was the only one. What a
// backend knows of an exclusive hold is that already.
func eachHolder(i lockclient.Info) []lockclient.Info {
	if len(i.Holders) == 0 {
		return []lockclient.Info{i}
	}
	var all []lockclient.Info
	for _, h := range i.Holders {
		one := i
		one.Holder, one.Fence, one.HeldFor, one.ExpiresIn, one.Revoked = h.Label, &h.Fence, h.HeldFor, h.ExpiresIn, h.Revoked
		one.Holders = []lockclient.Holder{h}
		all = append(all, one)
	}
	return all
}

// holderLines are the holders of a key for show, a line each.
func holderLines(i lockclient.Info) (lines []string) {
	for _, one := range eachHolder(i) {
		facts := []string{"fence " + fenceOf(one)}
		if n := one.Holders[0].Slots; n > 1 {
			facts = append(facts, strconv.Itoa(n)+" slots")
		}
		facts = append(facts, "for "+ago(one.HeldFor), "expires in "+ago(one.ExpiresIn))
		if one.Revoked {
			facts = append(facts, "told to stop")
		}
		lines = append(lines, holderOf(one)+" ("+strings.Join(facts, ", ")+")")
	}
	return lines
}

// wants is what a waiting process waits for, if that is not an exclusive hold.
func wants(w lockclient.Waiter) string {
	switch w.Kind {
	case lockclient.KindShared:
		return ", to share"
	case lockclient.KindSlots:
		return fmt.Sprintf(", for one of %d slots", w.Slots)
	}
	return ""
}

// together is in how many hands a key is: held shared by 3. It is empty of an exclusive hold.
func together(kind lockclient.Kind, taken int) string {
	switch {
	case kind == lockclient.KindShared && taken > 1:
		return fmt.Sprintf("held shared by %d", taken)
	case kind == lockclient.KindShared:
		return "held shared"
	case kind == lockclient.KindSlots && taken > 1:
		return fmt.Sprintf("%d slots held", taken)
	case kind == lockclient.KindSlots:
		return "1 slot held"
	}
	return ""
}

// amongThem names one of those that have a key together.
func amongThem(taken int, holder string) string {
	switch {
	case holder == "":
		return ""
	case taken > 1:
		return ", one of them " + printable(holder)
	}
	return ", by " + printable(holder)
}

// addressed is i with the holders alone that a release is about: the one with that fence, or, if
// it is 0, those that were told to stop. Without one of them the key is not held, as far as the
// release is concerned. An exclusive hold is what it is.
func addressed(i lockclient.Info, fence uint64) lockclient.Info {
	if len(i.Holders) == 0 {
		return i
	}
	var of lockclient.Info
	for _, one := range eachHolder(i) {
		switch {
		case fence == 0 && !one.Revoked, fence != 0 && *one.Fence != fence:
		case !of.Held:
			of = one
		default:
			of.Holders = append(of.Holders, one.Holders...)
			of.ExpiresIn = later(of.ExpiresIn, one.ExpiresIn)
		}
	}
	of.Key = i.Key
	return of
}

// waitsFor reports whether a hold of p's kind has to wait for those that have the key, or for
// those that came before it.
func (p *plan) waitsFor(i lockclient.Info) bool {
	switch {
	case i.Processes == nil || *i.Processes > 0:
		return true
	case p.shared:
		return i.Kind != lockclient.KindShared
	case p.slots > 0:
		return i.Kind != lockclient.KindSlots || i.Out >= p.slots
	}
	return true
}

// fencesOf are those of all holders; 0 if there are more than are known.
func fencesOf(i lockclient.Info) []uint64 {
	const known = 100
	switch {
	case len(i.Holders) >= known || len(i.Holders) == 0 && i.Fence == nil:
		return []uint64{0}
	case len(i.Holders) == 0:
		return []uint64{*i.Fence}
	}
	var all []uint64
	for _, h := range i.Holders {
		all = append(all, h.Fence)
	}
	return all
}

// later is the later of two times from now, if both are known.
func later(a, b *time.Duration) *time.Duration {
	if a == nil || b == nil {
		return nil
	}
	last := max(*a, *b)
	return &last
}
