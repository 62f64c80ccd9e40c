package backendtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/backends"
)

// A list names keys as their callers did, and no more than those: not what a
// backend keeps beside them, and not what a prefix would match as a pattern.
func listChecks() []check {
	return []check{
		{"held keys are listed by their prefix, sorted", listHeld, lists, noLister},
		{"free keys are not listed", listNotFree, lists, noLister},
		{"a prefix is no pattern", listNoPattern, lists, noLister},
		{"odd keys are listed as they are", listOdd, lists, noLister},
		{"an empty prefix lists every lock", listAll, lists, noLister},
		{"many keys are listed, each once", listMany, lists, noLister},
	}
}

// noLister: see noRevoker.
func noLister(st *store) error {
	if _, ok := whole(st.bare()).(backends.Lister); ok {
		return fmt.Errorf("one session's backend is a Lister, and another's is none")
	}
	return nil
}

func (s *session) list(prefix string) ([]string, error) {
	keys, err := whole(s.Backend).(backends.Lister).List(s.ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", prefix, err)
	}
	for i := 1; i < len(keys); i++ {
		if keys[i-1] >= keys[i] {
			return nil, fmt.Errorf("list %q has %q before %q", prefix, keys[i-1], keys[i])
		}
	}
	return keys, nil
}

// listed insists on exactly these keys, and names the first that differs.
func (s *session) listed(prefix string, want ...string) error {
	keys, err := s.list(prefix)
	if err != nil {
		return err
	}
	slices.Sort(want)
	for i := range max(len(keys), len(want)) {
		if i >= len(keys) || i >= len(want) || keys[i] != want[i] {
			return fmt.Errorf("list %q has %d keys, want %d: %s, want %s",
				prefix, len(keys), len(want), at(keys, i), at(want, i))
		}
	}
	return nil
}

// at is a key in quotes, or that there is none.
func at(keys []string, i int) string {
	if i >= len(keys) {
		return "none"
	}
	return strconv.Quote(keys[i])
}

func listHeld(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	if err := c.listed(st.key("")); err != nil {
		return err
	}
	var held []backends.Request
	for _, name := range []string{"b:2", "a:1", "b:1", "b", "B:1", "c"} {
		s := a
		if len(held)%2 == 1 {
			s = b
		}
		r, _, err := s.hold(st.key(name), long)
		if err != nil {
			return err
		}
		held = append(held, r)
	}
	return first(
		c.listed(st.key(""), st.key("a:1"), st.key("b"), st.key("b:1"), st.key("b:2"), st.key("B:1"), st.key("c")),
		c.listed(st.key("b"), st.key("b"), st.key("b:1"), st.key("b:2")),
		c.listed(st.key("b:"), st.key("b:1"), st.key("b:2")),
		c.listed(st.key("b:2"), st.key("b:2")),
		c.listed(st.key("b:3")),
		c.listed("x"+st.key("")),
		a.free(held[0]),
		c.listed(st.key("b:"), st.key("b:1")),
	)
}

// listNotFree: of a key that was released, expired, or only waited for, something
// is left in most backends.
func listNotFree(st *store) error {
	a, b, c, err := st.three()
	if err != nil {
		return err
	}
	released, _, err := a.hold(st.key("released"), long)
	if err != nil {
		return err
	}
	if err := a.free(released); err != nil {
		return err
	}
	if _, _, err := a.hold(st.key("expired"), st.short()); err != nil {
		return err
	}
	held, _, err := a.hold(st.key("held"), long)
	if err != nil {
		return err
	}
	waiter := b.request(held.Key, long)
	if _, err := b.want(backends.Held, waiter); err != nil && st.caps.Exclusive {
		return err
	}
	if err := a.outlast(st.short()); err != nil {
		return err
	}
	if err := c.listed(st.key(""), held.Key); err != nil {
		return err
	}
	return first(b.cancel(waiter), a.free(held), c.listed(st.key("")))
}

// listNoPattern has, for each character that means something in a glob, a key
// that it stands for and one that it is.
func listNoPattern(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var all []string
	for _, name := range []string{"*k", "ak", "?k", "[ab]k", "bk", `\*k`, `\k`, "[^a]k", "]k", "%k", "_k", ".*k", "*", "**k"} {
		r, _, err := a.hold(st.key(name), long)
		if err != nil {
			return err
		}
		all = append(all, r.Key)
	}
	for _, prefix := range []string{"*", "?", "[", "[ab]", "[^a]", `\`, `\*`, "]", "%", "_", ".", ".*", "**", "*k"} {
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, st.key(prefix)) {
				want = append(want, key)
			}
		}
		if err := b.listed(st.key(prefix), want...); err != nil {
			return err
		}
	}
	return nil
}

func listOdd(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var all, prefixed []string
	for _, key := range odd(st) {
		if _, _, err := a.hold(key, 10*long); err != nil { // it takes as many lists as keys
			return fmt.Errorf("key %q: %w", key, err)
		}
		all = append(all, key)
		if strings.HasPrefix(key, st.key("")) {
			prefixed = append(prefixed, key)
		}
	}
	if err := b.listed(st.key(""), prefixed...); err != nil {
		return err
	}
	for _, prefix := range all { // each is the prefix of some
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if err := b.listed(prefix, want...); err != nil {
			return err
		}
	}
	return nil
}

// listAll finds other checks' keys as well, and a backend may leave out what it
// can't be certain of; but not ours.
func listAll(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var all []string
	for _, key := range odd(st) {
		if _, _, err := a.hold(key, long); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		all = append(all, key)
	}
	free, _, err := a.hold(st.key("freed"), long)
	if err != nil {
		return err
	}
	if err := a.free(free); err != nil {
		return err
	}
	keys, err := b.list("")
	if err != nil {
		return err
	}
	for _, key := range all {
		if _, found := slices.BinarySearch(keys, key); !found {
			return fmt.Errorf("%q is held and not listed", key)
		}
	}
	for _, key := range keys {
		// Whatever else is kept for a key has its name in it.
		if strings.Contains(key, st.unique) && !slices.Contains(all, key) {
			return fmt.Errorf("%q is listed, and nobody holds such a key", key)
		}
	}
	return nil
}

// listMany: more than a server names at a time.
func listMany(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var want []string
	for i := range 3000 {
		r, _, err := a.hold(st.key(fmt.Sprint(i)), 2*long)
		if err != nil {
			return err
		}
		want = append(want, r.Key)
	}
	return b.listed(st.key(""), want...)
}
