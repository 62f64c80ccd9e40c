package backendtest

import (
	"fmt"
	"strings"

	"github.com/turnstile-go/turnstile/backends"
)

// Keys are the caller's bytes. What a backend makes of them on its way to a file
// name, a hash tag or a protocol line must never bring two keys together.
func keyChecks() []check {
	return []check{
		{"odd keys are kept apart", oddKeysApart, exclusive, oddKeysGranted},
		{"every byte but NUL can be in a key", everyByte, nil, nil},
		{"odd labels do no harm", oddLabels, nil, nil},
	}
}

// odd lists keys that differ by what a backend could lose: case, a trailing
// byte, an escape, a path, a hash tag, the tail of a long name.
func odd(st *store) []string {
	longest := strings.Repeat("k", 512)
	keys := []string{
		"a", "A", "a ", " a", "a\n", "a\r\n", "a\t", "a\x01", "a\x7f", "a\x80", "a\xff", "a/", "a/.", "a.", "a..", "a/../a", "../a", ".", "..", "/",
		"//", "a%", "a%20", "a%2F", "%61", "a+b", "a b", "a\\", `a"`, "a'", "a`", "$a", "a*", "a?", "a[1]", "a:1", "a\u00e9", "ae\u0301", "ä", "ſ", "ß", "ss", "İ", "日本語", "🔒",
		"{", "}", "{}", "}{", "{}a", "a{}", "{a}", "{a}b", "b{a}", "{{a}}", "{a", "a}", "}a{", "{a}{b}", "{b}{a}", "x{}{a}", "{a b}", "{\n}",
		"a:turnstile", "{a}:turnstile", "{a}:turnstile:queue", "wait:a", "a.lock", "a.tmp", "CON", "nul",
		longest, longest[:511], longest[:511] + "K", longest[:511] + " ", "K" + longest[1:],
		longest[:250], longest[:251], longest[:249], strings.Repeat("é", 256),
	}
	full := make([]string, 0, len(keys)+4)
	for _, k := range keys {
		full = append(full, st.key(k))
	}
	// Without a prefix the caller's bytes stand first.
	u := st.unique
	return append(full, "{"+u+"}", "{"+u, "{}"+u, u+"/..", "../"+u, "/"+u, " "+u, u)
}

// oddKeysApart holds all of them at once: two keys on one lease would show.
func oddKeysApart(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	var held []backends.Request
	for _, key := range odd(st) {
		r, _, err := a.hold(key, long)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		held = append(held, r)
	}
	for i, r := range held {
		if _, err := b.want(backends.Held, b.once(r.Key, long)); err != nil {
			return fmt.Errorf("key %q: %w", r.Key, err)
		}
		if err := a.free(r); err != nil {
			return fmt.Errorf("key %q: %w", r.Key, err)
		}
		next := b.once(r.Key, long)
		if _, err := b.want(backends.Granted, next); err != nil {
			return fmt.Errorf("key %q, %d released: %w", r.Key, i+1, err)
		}
		if err := b.free(next); err != nil {
			return fmt.Errorf("key %q: %w", r.Key, err)
		}
	}
	return nil
}

// oddKeysGranted is what is left of it where nothing is excluded.
func oddKeysGranted(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	for _, key := range odd(st) {
		r, _, err := a.hold(key, long)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if err := a.free(r); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

// everyByte has each byte in the middle, where no trimming hides it, and holds
// all keys at once, so that two which were folded into one would collide.
func everyByte(st *store) error {
	a, err := st.session()
	if err != nil {
		return err
	}
	var held []backends.Request
	for c := 1; c < 256; c++ {
		r, _, err := a.hold(st.key(string([]byte{'<', byte(c), '>'})), long)
		if err != nil {
			return fmt.Errorf("byte %#x: %w", c, err)
		}
		held = append(held, r)
	}
	for _, r := range held {
		if err := a.free(r); err != nil {
			return fmt.Errorf("key %q: %w", r.Key, err)
		}
	}
	return nil
}

// oddLabels: a label is the user's text, and is stored beside the lease.
func oddLabels(st *store) error {
	a, b, _, err := st.three()
	if err != nil {
		return err
	}
	for i, label := range []string{"", " ", "a b", "a\r\nset x 0 0 1", "\x00", "\xff", strings.Repeat("l", 1000), "日本", "0", backends.Stamp} {
		r := a.request(st.key(fmt.Sprint(i)), long)
		r.Label = label
		if _, err := a.want(backends.Granted, r); err != nil {
			return fmt.Errorf("label %q: %w", label, err)
		}
		if _, err := b.acquire(b.once(r.Key, long)); err != nil {
			return fmt.Errorf("beside label %q: %w", label, err)
		}
		if err := a.free(r); err != nil {
			return fmt.Errorf("label %q: %w", label, err)
		}
	}
	return nil
}
