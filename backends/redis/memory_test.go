package redis

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestALongLeaseIsReleasedInFull, at once, and any other by the script fast, which leaves the companion for as long as
// the lease would have made it last.
func TestALongLeaseIsReleasedInFull(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	inside, b := server.RedisClient(t, nil), faulty(t, &Faults{Addr: server.Addr})
	for i, row := range []struct {
		ttl   time.Duration
		long  bool
		fast  int
		stays time.Duration
	}{{24 * time.Hour, true, 0, time.Minute}, {backends.LongLease, false, 1, backends.LongLease + time.Minute}} {
		r := backends.Request{Attempt: attemptsOf(t, 2)[i], TTL: row.ttl, Label: "tester"}
		if reply, err := b.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Granted {
			t.Fatalf("%+v, %v", reply, err)
		}
		inside.ConfigResetStat(t.Context())
		r.Long = row.long
		if _, err := b.call(t.Context(), backends.Call{Verb: backends.Releasing, Request: r}); err != nil {
			t.Fatal(err)
		}
		if calls := servertest.Calls(t, inside, "mget"); calls != row.fast {
			t.Errorf("%v: the script fast was asked %d times, want %d", row.ttl, calls, row.fast)
		}
		if left := inside.PTTL(t.Context(), scripts.Keys(r.Key)[1]).Val(); left <= 0 || left > row.stays {
			t.Errorf("%v: the companion stays for %v, want %v at most", row.ttl, left, row.stays)
		}
	}
}
