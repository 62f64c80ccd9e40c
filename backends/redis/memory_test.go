package redis

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestALongLeaseIsFreedAsAnyOther: by the script fast, which leaves nothing of it for as long as it
// would have lasted.
func TestALongLeaseIsFreedAsAnyOther(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside, b := server.RedisClient(t, nil), faulty(t, &Faults{Addr: server.Addr})
	r := backends.Request{Attempt: attemptsOf(t, 1)[0], TTL: 24 * time.Hour, Label: "tester"}
	if reply, err := b.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Granted {
		t.Fatalf("%+v, %v", reply, err)
	}
	inside.ConfigResetStat(t.Context())
	if _, err := b.call(t.Context(), backends.Call{Verb: backends.Releasing, Request: r}); err != nil {
		t.Fatal(err)
	}
	if calls := servertest.Calls(t, inside, "mget"); calls != 1 {
		t.Errorf("the script fast was asked %d times, want once", calls)
	}
	if calls := servertest.Calls(t, inside, "evalsha") + servertest.Calls(t, inside, "eval"); calls != 1 {
		t.Errorf("the release took %d calls, want one", calls)
	}
	if left := inside.PTTL(t.Context(), scripts.Keys(r.Key)[1]).Val(); left <= 0 || left > time.Minute {
		t.Errorf("the companion stays for %v, want a minute at most", left)
	}
}
