package lockclient

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestInspectNamesThoseWhoWait: each client is one waiter by its own label, however
// many of its callers wait, and a place is its index.
func TestInspectNamesThoseWhoWait(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			holder := openClient(t, Config{Backend: url, Owner: "the holder"})
			first := openClient(t, Config{Backend: url, Owner: "the first"})
			second := openClient(t, Config{Backend: url, Owner: "the second"})
			lock := acquire(t, holder, "k")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			waits := func(c *Client, callers int) {
				for range callers {
					go func() { _, _ = c.Acquire(ctx, "k", Timeout(time.Hour)) }() // ends with ctx
				}
				eventually(t, "it waits in the queue", func() bool {
					i, err := c.Inspect(t.Context(), "k")
					return err == nil && i.Local == callers && (b.untold || i.Place != nil)
				})
			}
			waits(first, 3)
			waits(second, 1)
			info, err := holder.Inspect(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			if b.name == "memcached" {
				if info.Waiters != nil {
					t.Errorf("named without being known: %+v", info.Waiters)
				}
				return
			}
			var told string
			for _, w := range info.Waiters {
				if w.Label == nil || w.For == nil || *w.For < 0 || *w.For > 30*time.Second {
					t.Fatalf("%+v", w)
				}
				told += fmt.Sprintf("%s, ", *w.Label)
			}
			if told != "the first, the second, " || *info.Processes != 2 || *info.Waiters[0].For < *info.Waiters[1].For {
				t.Errorf("%s of %d wait, for %v and %v", told, *info.Processes, *info.Waiters[0].For, *info.Waiters[1].For)
			}
			cancel()
			eventually(t, "nobody waits", func() bool {
				info, err := holder.Inspect(t.Context(), "k")
				return err == nil && info.Waiters != nil && len(info.Waiters) == 0
			})
			release(t, lock)
		})
	}
}

// TestAFenceIsCurrentWhileItsLeaseStands: renewals mint newer fences, and yet the
// hold's own stays current, in the eyes of others too.
func TestAFenceIsCurrentWhileItsLeaseStands(t *testing.T) {
	for _, b := range exclusiveBackends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := b.open(t)
			holder, other := openClient(t, Config{Backend: url}), openClient(t, Config{Backend: url})
			look := func(c *Client) Info {
				i, err := c.Inspect(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				return i
			}
			before := acquire(t, holder, "k")
			old := before.Fence()
			release(t, before)
			if look(other).Current(old) {
				t.Error("the fence of a key that is free is current")
			}
			lock := acquire(t, holder, "k", Expires(3*time.Second), Renew())
			eventually(t, "it is renewed", func() bool { return *look(other).Fence > lock.Fence() })
			for _, c := range []*Client{holder, other} {
				i := look(c)
				if !i.Current(lock.Fence()) || i.Current(old) || i.Current(*i.Fence+1<<fenceBits) || i.Current(0) {
					t.Errorf("of the hold %t, of the one before %t, of the next %t, of none %t",
						i.Current(lock.Fence()), i.Current(old), i.Current(*i.Fence+1<<fenceBits), i.Current(0))
				}
			}
			release(t, lock)
		})
	}
}
