package lockclient

import (
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/actors"
	"github.com/turnstile-go/turnstile/backends"
)

// Info is what is known of a key. A nil pointer says that something can't be
// known, which is not the same as zero.
type Info struct {
	Key    string
	Held   bool    // as far as is known: open:// knows of this process only
	Holder *string // the holder's label
	Fence  *uint64 // of the hold in this process; else the newest that the backend has minted, which
	// a hold of another process may not have reached yet
	HeldFor   *time.Duration // since the hold, or another process's lease, was granted
	ExpiresIn *time.Duration // unless renewed
	Revoked   bool           // somebody revoked it, and its holder has not released it yet
	Foreign   bool           // the holder is another library's client
	Resting   bool           // nobody holds it, and nobody may before ExpiresIn: see AtLeast; Held is true
	Local     int            // callers waiting in this process
	Place     *int           // this process's place among those that wait, from 1, where it waits
	Processes *int           // processes waiting, where the backend keeps a queue
	// Waiters are those processes, first in line first; on Redis and embedded:// the first
	// 100. It is nil where the backend can't name them. Empty says that nobody
	// waits. All callers of one client are one of them.
	Waiters []Waiter

	first uint64 // the first fence of the lease that is there; 0: unknown
}

// A Waiter is a process in a key's queue. A nil field is unknown.
type Waiter struct {
	Label *string        // Config.Owner of its client, or the Owner of the first who waits there
	For   *time.Duration // how long it has waited
}

// MarshalJSON writes the duration in seconds.
func (w Waiter) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Label *string  `json:"label,omitempty"`
		For   *float64 `json:"waiting_for_seconds,omitempty"`
	}{w.Label, seconds(w.For)})
}

// Current reports whether the hold with this fence still stands, as far as is
// known: the fence is of the lease that has the key. It is false where the backend
// can't tell.
func (i Info) Current(fence uint64) bool {
	return i.Held && !i.Foreign && !i.Resting && i.first != 0 && i.Fence != nil &&
		fence >= i.first && fence>>fenceBits <= *i.Fence>>fenceBits
}

// MarshalJSON writes durations in seconds, and the fence as a string: it is
// greater than what a JSON reader may keep exactly. A key that is no UTF-8 has its
// bytes in key_base64 as well, since JSON has no way to write them in key.
func (i Info) MarshalJSON() ([]byte, error) {
	out := struct {
		Key       string   `json:"key"`
		Bytes     []byte   `json:"key_base64,omitempty"`
		Held      bool     `json:"held"`
		Holder    *string  `json:"holder,omitempty"`
		Fence     string   `json:"fence,omitempty"`
		HeldFor   *float64 `json:"held_for_seconds,omitempty"`
		ExpiresIn *float64 `json:"expires_in_seconds,omitempty"`
		Revoked   bool     `json:"revoked,omitempty"`
		Foreign   bool     `json:"foreign,omitempty"`
		Resting   bool     `json:"resting,omitempty"`
		Local     int      `json:"local_waiters,omitempty"`
		Place     *int     `json:"place,omitempty"`
		Processes *int     `json:"waiting_processes,omitempty"`
		Waiters   []Waiter `json:"waiters,omitzero"`
	}{Key: i.Key, Held: i.Held, Holder: i.Holder, Revoked: i.Revoked, Foreign: i.Foreign, Resting: i.Resting,
		Local: i.Local, Place: i.Place, Processes: i.Processes, Waiters: i.Waiters}
	if i.Fence != nil {
		out.Fence = strconv.FormatUint(*i.Fence, 10)
	}
	if !utf8.ValidString(i.Key) {
		out.Bytes = []byte(i.Key)
	}
	out.HeldFor, out.ExpiresIn = seconds(i.HeldFor), seconds(i.ExpiresIn)
	return json.Marshal(out)
}

func seconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := float64(d.Milliseconds()) / 1000 // in µs it would be 29.721921000000002
	return &s
}

// Inspect tells who holds a key: what this process knows of its own hold, and
// what the backend knows of everybody else's. A key whose lease lingers in this client
// is free. Errors: ErrInvalid for a key out of
// its limits, ErrUnavailable when the backend does not answer, ErrClosed.
func (c *Client) Inspect(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if c.coordinator.Closed() {
		return Info{}, ErrClosed
	}
	return c.inspect(ctx, key)
}

// inspect takes any key, also one that another library made longer than ours are.
func (c *Client) inspect(ctx context.Context, key string) (Info, error) {
	local, _ := c.coordinator.Lookup(key)
	local.Key = key
	info := c.local(local)
	inspector, ok := c.backend.(backends.Inspector)
	if !ok {
		return info, nil
	}
	remote, err := inspector.Inspect(ctx, c.cfg.KeyPrefix+key)
	if err != nil {
		return info, err
	}
	info.Processes, info.Revoked = remote.Waiting, info.Revoked || remote.Revoked
	if remote.Waiters != nil {
		info.Waiters = []Waiter{}
	}
	for _, w := range remote.Waiters {
		info.Waiters = append(info.Waiters, Waiter{Label: w.Label, For: w.For})
	}
	if local.Held {
		return info, nil // of our own hold we know more than the backend
	}
	if local.Lingers != 0 && remote.Base != nil && *remote.Base == local.Lingers {
		remote = backends.Info{Base: remote.Base} // the lease is ours, and nobody's hold
	}
	info.Held, info.Holder, info.Foreign, info.Resting = remote.Held, remote.Holder, remote.Foreign, remote.Resting
	info.HeldFor, info.ExpiresIn = remote.HeldFor, remote.ExpiresIn
	if remote.Base != nil {
		fence := *remote.Base << fenceBits
		info.Fence = &fence
	}
	if remote.First != nil {
		info.first = *remote.First << fenceBits
	}
	return info, nil
}

func (c *Client) local(i actors.Info) Info {
	info := Info{Key: i.Key, Held: i.Held, Revoked: i.Revoked, Local: i.Waiters}
	if i.Place > 0 {
		info.Place = &i.Place
	}
	if i.Held {
		info.Holder, info.Fence, info.first = &i.Holder, &i.Fence, i.Fence
		info.HeldFor, info.ExpiresIn = &i.HeldFor, &i.ExpiresIn
	}
	return info
}

// Keys lists the keys that are held or waited for in this process, in no order.
// It is no snapshot: keys come and go while it runs.
func (c *Client) Keys() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		c.coordinator.Keys(func(i actors.Info) bool { return yield(c.local(i)) })
	}
}

// Stats counts what a client did since it was opened: Holds granted; Handoffs,
// those of them under a lease that was there already; Timeouts, acquires that ended
// without a hold by timeout or cancellation; Losses, holds that ended by ErrLost;
// Expired, holds that reached their deadline before their Release; BackendCalls;
// and, at this moment, Waiters and LiveKeys.
type Stats = actors.Stats

// Stats returns the counters of this client.
func (c *Client) Stats() Stats { return c.coordinator.Stats() }
