package redis_test

import (
	"testing"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

// TestAHostThatIsUnknownIsTheOneThatWasAsked: nodes that don't know how they are reached
// leave their host out, or write "?" where they are to tell a hostname and have none, in
// the list of slots and where they redirect.
func TestAHostThatIsUnknownIsTheOneThatWasAsked(t *testing.T) {
	t.Parallel()
	for _, told := range []string{"unknown-endpoint", "hostname"} {
		t.Run(told, func(t *testing.T) {
			t.Parallel()
			c := servertest.RedisClusterOf(t, servers.ClusterConfig{Masters: 3, Args: []string{"--cluster-preferred-endpoint-type", told}})
			b := open(t, c.URL())
			for range 12 { // keys of each node
				mustGrant(t, b, newRequest(newKey(t)))
			}
			key := newKey(t)
			master, err := c.Master(scripts.Slot(key))
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range c.Nodes {
				if to != master {
					if err := c.MoveSlot(scripts.Slot(key), to); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			mustGrant(t, b, newRequest(key)) // by a redirection
		})
	}
}
