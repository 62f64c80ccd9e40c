package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestFastItemsOnAFullServer: frees go through, and no take makes a key, be it in the same call. An item
// that is answered 0 is asked in full: a key in use goes on, a new one is refused.
func TestFastItemsOnAFullServer(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	exec, _ := onServer(t, server)
	inside := server.RedisClient(t, nil)
	session, next := backends.NewSession(), uint64(0)
	token := func() string { next++; return session.Token(next).Wire() }
	fast := func(frees []string, takes ...string) []string {
		t.Helper()
		keys, argv := []string{}, []string{fmt.Sprint(len(frees) / 2)}
		for i := 0; i < len(frees); i += 2 {
			keys, argv = append(keys, scripts.Keys(frees[i])[:2]...), append(argv, frees[i+1])
		}
		for i := 0; i < len(takes); i += 2 {
			keys, argv = append(keys, scripts.Keys(takes[i])[:2]...), append(argv, takes[i+1], "60000", "label")
		}
		reply, err := exec(scripts.Fast, keys, argv...)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, word := range strings.Fields(reply.(string)) {
			said = append(said, word[12:])
		}
		return said
	}
	one, two, three := token(), token(), token()
	if said := fast(nil, "one", one, "two", two, "three", three); strings.Contains(strings.Join(said, ","), ",0") || said[0] == "0" {
		t.Fatalf("%q", said)
	}
	fast([]string{"three", three})
	if err := inside.ConfigSet(bounded(t), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if said := fast(nil, "new", token(), "three", token()); said[0] != "0" || said[1] != "0" {
		t.Errorf("takes alone: %q", said)
	}
	if said := fast([]string{"one", one, "two", two}, "new", token(), "three", token()); strings.Join(said, " ") != "1 1 0 0" {
		t.Errorf("frees and takes: %q", said)
	}
	for _, key := range []string{"one", "two", "three", "new", scripts.Keys("new")[1]} {
		if inside.Exists(bounded(t), key).Val() != 0 {
			t.Errorf("%s is there", key)
		}
	}
	for key, granted := range map[string]bool{"three": true, "new": false} {
		reply, err := exec(scripts.Acquire, scripts.Keys(key), token(), "60000", "label", "0", "0", "1000", "1")
		if granted != (err == nil) || err != nil && !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s in full: %v, %v", key, reply, err)
		}
	}
}
