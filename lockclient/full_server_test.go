package lockclient

import (
	"context"
	"sync"
	"testing"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// TestAHotKeyIsPassedOnWhileTheServerIsFull: one client hands a key on among its own
// callers, on a server that has no memory left. Another's turns come all the same.
func TestAHotKeyIsPassedOnWhileTheServerIsFull(t *testing.T) {
	t.Parallel()
	const callers, turns = 4, 5
	server := servertest.Redis(t)
	hot, other := openClient(t, Config{Backend: server.URL()}), openClient(t, Config{Backend: server.URL()})
	wait := Timeout(patience)
	held := acquire(t, hot, "hot", wait)
	// The server fills while the key is held.
	inside := server.RedisClient(t, nil)
	if err := inside.Set(t.Context(), "big", make([]byte, 1<<20), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := inside.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if err := inside.Set(t.Context(), "another", "", 0).Err(); err == nil {
		t.Fatal("the server takes another key: the test proves nothing")
	}
	ctx, stop := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for range callers {
		crowd.Go(func() {
			for ctx.Err() == nil {
				lock, err := hot.Acquire(t.Context(), "hot", wait)
				if err != nil {
					t.Errorf("of the crowd: %v", err)
					return
				}
				if err := lock.Release(); err != nil {
					t.Errorf("of the crowd: %v", err)
				}
			}
		})
	}
	eventually(t, "the crowd waits", func() bool { return hot.Stats().Waiters == callers })
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	for turn := range turns {
		before := hot.Stats().Holds
		lock, err := other.Acquire(t.Context(), "hot", wait)
		if err != nil {
			t.Errorf("turn %d, after %d holds of the crowd: %v", turn, hot.Stats().Holds-before, err)
			break
		}
		if err := lock.Release(); err != nil {
			t.Errorf("turn %d: %v", turn, err)
		}
	}
	stop()
	crowd.Wait()
}
