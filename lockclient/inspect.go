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
	ExpiresIn *time.Duration // unless renewed; of several holders the last one's
	Revoked   bool           // somebody revoked it, and its holder has not released it yet; of several holders: all
	Foreign   bool           // the holder is another library's client
	Resting   bool           // nobody holds it, and nobody may before ExpiresIn: see AtLeast; Held is true
	Local     int            // callers waiting in this process
	Place     *int           // this process's place among those that wait, from 1, where it waits
	Processes *int           // processes waiting, where the backend keeps a queue
	// Waiters are those processes, first in line first; on Redis and embedded:// the first
	// 100. It is nil where the backend can't name them. Empty says that nobody
	// waits. All callers of one client are one of them.
	Waiters []Waiter

	Kind Kind // of what is held: see Shared and Slots
	// Out is how many have the key, if it is held shared (processes) or by slot holds (slots);
	// 0 if it is held exclusively. What lingers with a process that nobody has asked for it counts.
	Out   int
	Slots int // of how many, as those say who hold them: the most; 0: unknown, or no slot holds
	// Holders are those of a key that is held shared or by slot holds, the first 100: Holder,
	// Fence and HeldFor are then those of this process's hold, or of one of them.
	Holders []Holder

	first uint64 // the first fence of the lease that is there; 0: unknown
}

// Current reports whether the hold with this fence still stands, as far as is
// known: the fence is of a lease that has the key. It is false where the backend
// can't tell.
func (i Info) Current(fence uint64) bool {
	for _, h := range i.Holders {
		if fence >= h.Fence && fence>>fenceBits <= h.newest {
			return true
		}
	}
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
		Kind      string   `json:"kind,omitempty"`
		Out       int      `json:"out,omitempty"`
		Slots     int      `json:"slots,omitempty"`
		Holders   []Holder `json:"holders,omitempty"`
	}{Key: i.Key, Held: i.Held, Holder: i.Holder, Revoked: i.Revoked, Foreign: i.Foreign, Resting: i.Resting,
		Local: i.Local, Place: i.Place, Processes: i.Processes, Waiters: i.Waiters,
		Out: i.Out, Slots: i.Slots, Holders: i.Holders}
	if i.Held && !i.Resting {
		out.Kind = i.Kind.String()
	}
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
		info.Waiters = append(info.Waiters, Waiter{Label: w.Label, For: w.For, Kind: w.Kind, Slots: w.N})
	}
	if local.Lingers != 0 && remote.Base != nil {
		remote = without(remote, local.Lingers)
	}
	info.share(remote)
	if local.Held {
		return info, nil // of our own hold we know more than the backend
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
		switch info.Kind = i.Kind; i.Kind {
		case KindShared:
			info.Out = 1
		case KindSlots:
			info.Out = i.Holds
		}
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
