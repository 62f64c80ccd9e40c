package embedded

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestAReplyToAnotherAttemptMakesNoSense, whatever it says.
func TestAReplyToAnotherAttemptMakesNoSense(t *testing.T) {
	for _, row := range []struct {
		verb, says string
		want       error
	}{
		{"acquire", "1, '1700000000000000', 5000, 0, 1", nil},
		{"acquire", "0, 'x', 1, 1, 1, 0", nil},
		{"acquire", "-1", backends.ErrSettled},
		{"renew", "1, '1700000000000000', 5000, 0", nil},
		{"renew", "0", backends.ErrNotHeld},
		{"renew", "2", backends.ErrRevoked},
		{"release", "1, 0, 1", nil},
		{"release", "0, 1", backends.ErrNotHeld},
		{"cancel", "1, 1", nil},
	} {
		t.Run(row.verb+" "+row.says, func(t *testing.T) {
			c := newClient(t)
			ask := func(first string) (reply backends.Reply, err error) {
				r := c.request()
				r.Ambiguous = true // in full
				if first == "" {
					first = fmt.Sprint(r.Token.Attempt()) + ","
				}
				says := script(t, "local _ = KEYS[1] return {"+first+row.says+"}")
				c.verbs.acquire, c.verbs.renew, c.verbs.release, c.verbs.cancel = says, says, says, says
				switch row.verb {
				case "acquire":
					r.Probe = 1
					return c.Acquire(t.Context(), r)
				case "renew":
					return c.Renew(t.Context(), r.Attempt, time.Second, 1)
				case "release":
					return reply, c.Release(t.Context(), r.Attempt)
				}
				return reply, c.Cancel(t.Context(), r.Attempt)
			}
			if _, err := ask(""); !errors.Is(err, row.want) {
				t.Errorf("to the attempt: %v, want %v", err, row.want)
			}
			for _, first := range []string{"99,", "0,", "-2,", "'000000000005',", " "} {
				reply, err := ask(first)
				if !errors.Is(err, backends.ErrUnavailable) || errors.Is(err, backends.ErrSettled) || reply.Outcome != backends.MayHaveRun || reply.Base != 0 {
					t.Errorf("{%s%s}: %+v, %v; want it to make no sense", first, row.says, reply, err)
				}
			}
		})
	}
}
