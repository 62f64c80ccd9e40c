package scripts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/scripts"
)

// A message that is not as the scripts write it grants nothing.
func TestOnlyAWholeLeaseIsRead(t *testing.T) {
	t.Parallel()
	const good = "000000000007" + "1795945729255741" + "0000000000000042" + "00003000" + "1" + "pylock:k"
	want := scripts.Lease{Attempt: 7, Base: 1795945729255741, Ask: 42, TTL: 3 * time.Second, Contended: true, Key: "pylock:k"}
	if l, ok := scripts.ReadLease(good); !ok || l != want {
		t.Fatalf("read as %+v, %v", l, ok)
	}
	if l, ok := scripts.ReadLease(strings.Replace(good, "1pylock:k", "0k", 1)); !ok || l.Contended || l.Key != "k" {
		t.Fatalf("nobody waits: read as %+v, %v", l, ok)
	}
	bad := map[string]string{
		"nothing":            "",
		"no key":             strings.TrimSuffix(good, "pylock:k"),
		"a column short":     good[1:strings.Index(good, "p")] + "k",
		"attempt 0":          strings.Replace(good, "07", "00", 1),
		"base 0":             strings.Replace(good, "1795945729255741", strings.Repeat("0", 16), 1),
		"base of 2^53":       strings.Replace(good, "1795945729255741", fmt.Sprint(1<<53), 1),
		"ask 0":              strings.Replace(good, "42", "00", 1),
		"ask of 2^53":        strings.Replace(good, "0000000000000042", fmt.Sprint(1<<53), 1),
		"no length":          strings.Replace(good, "00003000", "00000000", 1),
		"a length below 0":   strings.Replace(good, "00003000", "-0003000", 1),
		"others wait: 2":     strings.Replace(good, "1pylock", "2pylock", 1),
		"a sign":             "+" + good[1:],
		"a space":            strings.Replace(good, "0000000000000042", "              42", 1),
		"an exponent":        strings.Replace(good, "1795945729255741", "1.7959457293e+15", 1),
		"digits of no ASCII": strings.Replace(good, "0000000000000042", "0000000000000４", 1),
	}
	for name, text := range bad {
		if l, ok := scripts.ReadLease(text); ok {
			t.Errorf("%s: read as %+v", name, l)
		}
	}
}

// TestManyLocksInAMessage are read up to the first that is not whole.
func TestManyLocksInAMessage(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              nil,
		"00000001":                      nil,
		"00000001a":                     {"a"},
		"00000003a b0000000200":         {"a b", "00"},
		"00000001a00000002b":            {"a"},
		"00000001a0000000200000001b":    {"a", "00"},
		"00000001a+0000001b":            {"a"},
		"00000000a":                     nil,
		"00000001ab":                    {"a"},
		"000000a1a":                     nil,
		"99999999a":                     nil,
		"00000001\xff00000001{00000002": {"\xff", "{"},
	} {
		if got := slices.Collect(scripts.ReadMany(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
