package lockclient

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestALongHoldLeavesNothingForLong: a key that was used once, for a hold that might have lasted a day, has nothing on
// the server a minute after its release.
func TestALongHoldLeavesNothingForLong(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	c, inside := openClient(t, Config{Backend: server.URL()}), server.RedisClient(t, nil)
	if err := acquire(t, c, "once", Expires(24*time.Hour)).Release(); err != nil {
		t.Fatal(err)
	}
	keys := inside.Keys(t.Context(), "*").Val()
	if len(keys) != 1 {
		t.Errorf("%q are there, want the companion alone", keys)
	}
	for _, key := range keys {
		if left := inside.PTTL(t.Context(), key).Val(); left <= 0 || left > time.Minute {
			t.Errorf("%s stays for %v, want a minute at most", key, left)
		}
	}
}
