package lockclient

import (
	"time"

	"pgregory.net/rapid"
)

// A revocation is somebody's, of whoever has the key then.
type revocation struct {
	at     time.Duration
	client int
	key    string
	now    bool
}

func drawOps(rt *rapid.T) []op {
	ms := func(label string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(rt, label)) * time.Millisecond
	}
	ops := make([]op, rapid.IntRange(1, 40).Draw(rt, "ops"))
	at := time.Duration(0)
	for i := range ops {
		at += time.Duration(rapid.IntRange(1, 60_000).Draw(rt, "gap")) * time.Microsecond
		o := op{
			at: at, client: rapid.IntRange(0, 1).Draw(rt, "client"),
			key:     rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"),
			expires: ms("expires", 10, 600), hold: ms("hold", 0, 700),
			release: rapid.IntRange(0, 9).Draw(rt, "release") > 0,
			renew:   rapid.IntRange(0, 3).Draw(rt, "renew") == 0,
			watch:   rapid.IntRange(0, 2).Draw(rt, "watch") == 0,
			wind:    ms("wind", 0, 100),
		}
		if o.release && rapid.IntRange(0, 3).Draw(rt, "long") == 0 {
			// Long leases that are released soon: whatever is left of one by a
			// fault still stands when the script is over.
			o.expires = ms("long expires", 2_000, 60_000)
		}
		if rapid.IntRange(0, 5).Draw(rt, "wait") > 0 {
			o.timeout = ms("timeout", 1, 4000)
		}
		if rapid.IntRange(0, 2).Draw(rt, "gives up") == 0 {
			o.cancel = ms("cancel", 1, 1500)
		}
		if rapid.IntRange(0, 4).Draw(rt, "extends") == 0 {
			o.extend = ms("extend", 10, 900)
		}
		if rapid.IntRange(0, 9).Draw(rt, "rests") == 0 {
			o.least = ms("least", 1, 1500)
		}
		ops[i] = o
	}
	return ops
}

func drawRevocations(rt *rapid.T) []revocation {
	all := make([]revocation, rapid.IntRange(0, 3).Draw(rt, "revocations"))
	for i := range all {
		all[i] = revocation{
			at:     time.Duration(rapid.IntRange(1, 2000).Draw(rt, "revoke at")) * time.Millisecond,
			key:    rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "revoked key"),
			client: rapid.IntRange(0, 1).Draw(rt, "revoker"), now: rapid.Bool().Draw(rt, "now"),
		}
	}
	return all
}
