package backends_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

func TestTokensSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		session := backends.NewSession()
		n := rapid.Uint64Range(1, backends.MaxAttempt).Draw(t, "attempt")
		token := session.Token(n)
		if token.Session() != session || token.Attempt() != n {
			t.Fatalf("token of attempt %d says attempt %d", n, token.Attempt())
		}
		wire := token.Wire()
		if len(wire) != 44 {
			t.Fatalf("%d bytes on the wire, want 44", len(wire))
		}
		if back, ok := backends.ParseToken(wire); !ok || back != token {
			t.Fatalf("attempt %d comes back as attempt %d, %t", n, back.Attempt(), ok)
		}
	})
}

// pylock runs float(value) < time.time() on what it finds under a key: a token
// has to be a number, and not in the past before the year 2100.
func TestTokensReadAsTheYear2100(t *testing.T) {
	at, err := strconv.ParseFloat(backends.NewSession().Token(1).Wire(), 64)
	if err != nil {
		t.Fatal(err)
	}
	if year := time.Unix(int64(at), 0).UTC().Year(); year != 2100 {
		t.Errorf("a token reads as the year %d", year)
	}
}

func TestForeignValuesAreNoTokens(t *testing.T) {
	good := backends.NewSession().Token(7).Wire()
	for name, wire := range map[string]string{
		"nothing":         "",
		"a pylock stamp":  "1700000000.12",
		"a uuid":          "9b2f0a4e-3c55-4e7c-8f0e-5a5d6f1b2c3d",
		"one byte less":   good[:43],
		"one byte more":   good + "0",
		"another version": backends.Stamp[:11] + "2" + good[12:],
		"a letter":        good[:20] + "x" + good[21:],
		"a space":         good[:43] + " ",
		"attempt 0":       good[:32] + strings.Repeat("0", 12),
	} {
		if _, ok := backends.ParseToken(wire); ok {
			t.Errorf("%s is taken for a token", name)
		}
	}
}

func TestAttemptNumbersOutOfRangePanic(t *testing.T) {
	for _, n := range []uint64{0, backends.MaxAttempt + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("attempt number %d is accepted", n)
				}
			}()
			backends.NewSession().Token(n)
		}()
	}
}

func TestSessionsDiffer(t *testing.T) {
	seen := map[backends.Session]bool{}
	for range 1000 {
		s := backends.NewSession()
		if len(s) != 20 || strings.Trim(string(s), "0123456789") != "" || seen[s] {
			t.Fatal("a session is not 20 digits, or was drawn twice")
		}
		seen[s] = true
	}
}

// TestTheSecretIsNeverShown prints tokens, and what carries them, in every way
// that ends up in a log by accident.
func TestTheSecretIsNeverShown(t *testing.T) {
	session := backends.NewSession()
	token := session.Token(123_456_789)
	attempt := backends.Attempt{Key: "k", Token: token}
	request := backends.Request{Attempt: attempt, TTL: time.Second, Label: "me"}
	for _, value := range []any{token, &token, attempt, &attempt, request, &request, []backends.Token{token}, map[string]backends.Request{"r": request}} {
		shown := []string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", value)
		for _, s := range append(shown, string(encoded), log.String()) {
			hex := fmt.Sprintf("%x", string(session))
			if strings.Contains(s, string(session)) || strings.Contains(s, token.Wire()) || strings.Contains(strings.ToLower(s), hex) {
				t.Errorf("%T shows its secret: %s", value, s)
			}
		}
	}
}
