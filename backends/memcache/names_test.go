package memcache

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/backends"
)

func TestPlainKeysAreTheirOwnLocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key   string
		plain bool
	}{
		{"lock:a", true},
		{"pylock:ä/日本", true},
		{strings.Repeat("k", 250), true},
		{strings.Repeat("k", 251), false},
		{"a b", false},
		{"a\r\nset x", false},
		{"a\x01", false},
		{"a\x7f", false},
		{"a\x80\xff", true},
		{"turnstile", true},
		{"turnstile:", false},
		{"turnstile:a", false},
		{"Turnstile:a", true},
	} {
		i := itemsOf(tt.key)
		if got := i.lock == tt.key; got != tt.plain {
			t.Errorf("%q is locked by %q", tt.key, i.lock)
		}
		for _, name := range []string{i.lock, i.fence, i.wait, i.revoke} {
			if !plain(strings.TrimPrefix(name, reserved)) || len(name) > longestName {
				t.Errorf("%q has an item %q, which memcached can't carry", tt.key, name)
			}
		}
	}
}

// TestNoKeyIsAnothersItem takes the items of keys for keys themselves, and those
// of the result again.
func TestNoKeyIsAnothersItem(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "a b", "A", strings.Repeat("k", 300), reserved, fencePrefix, waitPrefix + "a", revokePrefix + "a"}
	for n := range keys {
		i := itemsOf(keys[n])
		keys = append(keys, i.lock, i.fence, i.wait, i.revoke)
	}
	for n := range keys {
		keys = append(keys, itemsOf(keys[n]).lock)
	}
	owners := map[string]string{}
	for _, key := range keys {
		i := itemsOf(key)
		for kind, name := range map[string]string{"lock": i.lock, "fence": i.fence, "wait": i.wait, "revoke": i.revoke} {
			owner := kind + " of " + key
			if before, ok := owners[name]; ok && before != owner {
				t.Errorf("%q is the %s and the %s", name, before, owner)
			}
			owners[name] = owner
		}
	}
}

func TestValuesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	token := backends.NewSession().Token(7)
	for _, label := range []string{"", " ", "a b  c", "a\r\nEND\r\n", "\x00\xff", "日本"} {
		want := lease{token: token, granted: true, first: 1<<53 - 2, base: 1<<53 - 1, since: 1, ends: 2, label: label}
		if got, ok := decode(want.encode()); !ok || got != want {
			t.Errorf("label %q: %+v, %v", label, got, ok)
		}
	}
	bare := lease{token: token}
	if got, ok := decode(bare.encode()); !ok || got != bare {
		t.Errorf("a bare token: %+v, %v", got, ok)
	}
	long := lease{token: token, granted: true, label: strings.Repeat("é", 1000)}
	if got, ok := decode(long.encode()); !ok || len(got.label) > maxLabel || !utf8.ValidString(got.label) {
		t.Errorf("a long label was cut to %d bytes: %q", len(got.label), got.label)
	}
}

// FuzzDecode: whatever others write is theirs, unless it is what we would write.
func FuzzDecode(f *testing.F) {
	token := backends.NewSession().Token(1)
	whole := lease{token: token, granted: true, first: 4, base: 5, since: 6, ends: 7, label: "me"}.encode()
	for _, value := range [][]byte{nil, []byte("1"), []byte("locked"), whole, whole[:44], whole[:45], whole[:50], append(whole[:44:44], "x 1 2 3 l"...)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		l, ok := decode(value)
		if !ok {
			return
		}
		again, ok := decode(l.encode())
		l.label = cut(l.label)
		if !ok || again != l {
			t.Errorf("%q is read as %+v, and written as %q", value, l, l.encode())
		}
		if !bytes.HasPrefix(value, []byte(l.token.Wire())) {
			t.Errorf("%q does not begin with the token that was read", value)
		}
	})
}
