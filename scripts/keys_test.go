package scripts_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/scripts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The numbers and the rules for tags are those of the Redis Cluster specification.
func TestSlotsAreThoseOfTheClusterSpecification(t *testing.T) {
	for key, want := range map[string]int{
		"123456789":            0x31C3,
		"foo":                  12182,
		"":                     0,
		"{user1000}.following": scripts.Slot("user1000"),
		"{user1000}.followers": scripts.Slot("user1000"),
		"foo{{bar}}zap":        scripts.Slot("{bar"),
		"foo{bar}{zap}":        scripts.Slot("bar"),
		"foo{bar":              scripts.Slot("foo{bar"),
	} {
		if got := scripts.Slot(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
	// An empty tag is none: the whole key counts.
	if scripts.Slot("foo{}{bar}") == scripts.Slot("bar") || scripts.Slot("foo{}{bar}") == scripts.Slot("") {
		t.Error("an empty tag was taken for a tag")
	}
}

// randomKey is any bytes, with braces about as often as anything else: what
// makes a tag, and what only looks like it, is where names go wrong.
func randomKey(random *rand.Rand) string {
	const braces = "{}"
	b := make([]byte, 1+random.IntN(20))
	for i := range b {
		if random.IntN(3) == 0 {
			b[i] = braces[random.IntN(2)]
		} else {
			b[i] = byte(1 + random.IntN(255))
		}
	}
	return string(b)
}

func TestALockIsFoundByItsCompanionsNameAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	keys := []string{"a", "}:turnstile", "{}:turnstile", "{a}:turnstile", "{a}:turnstile:", "{a}:turnstile:queue", "a}:turnstile:{a}b", ":", "}"}
	for range 1000 {
		keys = append(keys, randomKey(random), randomKey(random)+"}:turnstile"+randomKey(random))
	}
	for _, key := range keys {
		for i, name := range scripts.ShareKeys(key) {
			found, ok := scripts.Lock(name)
			if i == 1 && (!ok || found != key) {
				t.Fatalf("%q is the companion of %q, and not of %q (%v)", name, key, found, ok)
			}
			if i > 1 && ok {
				t.Fatalf("%q, which is beside %q, is taken for the companion of %q", name, key, found)
			}
		}
	}
	for _, name := range []string{"", "a", "turnstile", "{}:turnstile", "{a}:turnstil", "{a}:turnstile:a", "{b}:turnstile:{a}", "a}:turnstile"} {
		if key, ok := scripts.Lock(name); ok {
			t.Errorf("%q is taken for the companion of %q", name, key)
		}
	}
}

func TestTheKeysOfALockShareASlotAndNothingElse(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	owner := map[string]string{}
	var all []string
	for range 10_000 {
		key := randomKey(random)
		all = append(all, key, key+":queue", key+":alive", key+":more", key+"-queue", ":queue:"+key, key+":shares", key+"-holders")
	}
	for _, key := range all {
		keys := scripts.ShareKeys(key)
		if five := scripts.Keys(key); len(five) != scripts.KeyCount || !slices.Equal(five, keys[:scripts.KeyCount]) {
			t.Errorf("the keys of the mutex are %q, of %q", five, keys)
		}
		if pair := scripts.Pair(key); !slices.Equal(pair[:], keys[:2]) {
			t.Errorf("the fast script would take %q of %q", pair, keys)
		}
		if len(keys) != scripts.ShareKeyCount || keys[0] != key {
			t.Fatalf("keys of %q: %q", key, keys)
		}
		for _, name := range keys {
			if scripts.Slot(name) != scripts.Slot(key) {
				t.Fatalf("%q is in slot %d, its %q in %d", key, scripts.Slot(key), name, scripts.Slot(name))
			}
			if other, taken := owner[name]; taken && other != key {
				t.Fatalf("%q belongs to %q and to %q", name, other, key)
			}
			owner[name] = key
		}
	}
}

// Names are wire format: processes of different versions have to meet.
func TestNamesAreWireFormat(t *testing.T) {
	for key, want := range map[string]string{
		"pylock:a":    "{pylock:a}:turnstile {pylock:a}:turnstile:more {pylock:a}:turnstile:queue {pylock:a}:turnstile:alive {pylock:a}:turnstile:holders {pylock:a}:turnstile:shares",
		"pylock:{a}b": "{a}:turnstile:pylock:{a}b {a}:turnstile-more:pylock:{a}b {a}:turnstile-queue:pylock:{a}b {a}:turnstile-alive:pylock:{a}b {a}:turnstile-holders:pylock:{a}b {a}:turnstile-shares:pylock:{a}b",
	} {
		if got := strings.Join(scripts.ShareKeys(key)[1:], " "); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
	// A brace but no tag: a short number stands for the slot.
	if got := scripts.Keys("pylock:a}")[1]; !strings.HasSuffix(got, "}:turnstile:pylock:a}") || len(got) > len("{12345}:turnstile:pylock:a}") {
		t.Errorf("the companion of a key with half a brace is %q", got)
	}
}

func TestThePatternOfCompanionsMatchesThemAll(t *testing.T) {
	for _, key := range []string{"pylock:a", "pylock:{a}b", "pylock:a}", "{}"} {
		before, after, _ := strings.Cut(scripts.Companions(key), "*")
		for _, name := range scripts.ShareKeys(key)[1:] {
			if !strings.HasPrefix(name, before) || !strings.HasSuffix(name, after) {
				t.Errorf("%q does not match %q", name, scripts.Companions(key))
			}
		}
	}
}
