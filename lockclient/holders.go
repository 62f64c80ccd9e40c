package lockclient

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A Waiter is a process in a key's queue. A nil field is unknown.
type Waiter struct {
	Label *string        // Config.Owner of its client, or the Owner of the first who waits there
	For   *time.Duration // how long it has waited
	Kind  Kind           // of the hold that it waits for
	Slots int            // of Slots(n): its n
}

// MarshalJSON writes the duration in seconds.
func (w Waiter) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Label *string  `json:"label,omitempty"`
		For   *float64 `json:"waiting_for_seconds,omitempty"`
		Kind  string   `json:"kind"`
		Slots int      `json:"slots,omitempty"`
	}{w.Label, seconds(w.For), w.Kind.String(), w.Slots})
}

// A Holder is a process that has a part in a key that is held shared or by slot holds. A nil
// field is unknown.
type Holder struct {
	Label     *string        // of its hold, or of its process
	Fence     uint64         // its first fence: Revocation.Fence names it so
	HeldFor   *time.Duration // since its part was granted
	ExpiresIn *time.Duration // unless renewed
	Slots     int            // how many slots it has; 0 of a shared key
	Revoked   bool           // somebody revoked it, and it has not let go yet

	newest uint64 // the base of its newest fence
}

// MarshalJSON writes durations in seconds, and the fence as a string: see Info.
func (h Holder) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Label     *string  `json:"label,omitempty"`
		Fence     string   `json:"fence"`
		HeldFor   *float64 `json:"held_for_seconds,omitempty"`
		ExpiresIn *float64 `json:"expires_in_seconds,omitempty"`
		Slots     int      `json:"slots,omitempty"`
		Revoked   bool     `json:"revoked,omitempty"`
	}{h.Label, strconv.FormatUint(h.Fence, 10), seconds(h.HeldFor), seconds(h.ExpiresIn), h.Slots, h.Revoked})
}

// share adds what the backend knows of those who have a key together.
func (i *Info) share(remote backends.Info) {
	if remote.Kind == backends.Exclusive {
		return
	}
	i.Kind, i.Out = remote.Kind, remote.Out
	for _, h := range remote.Holders {
		holder := Holder{
			Label: h.Label, Fence: h.First << fenceBits, HeldFor: h.HeldFor, ExpiresIn: h.ExpiresIn, Revoked: h.Revoked, newest: h.Base,
		}
		if remote.Kind == backends.Slots {
			holder.Slots, i.Slots = h.Permits, max(i.Slots, h.N)
		}
		i.Holders = append(i.Holders, holder)
	}
}

// without returns what a backend knows of a key without the lease, or share, whose newest base that
// is: it lingers with this process, and is nobody's hold.
func without(i backends.Info, base uint64) backends.Info {
	if i.Kind == backends.Exclusive {
		if *i.Base == base {
			return backends.Info{Base: i.Base}
		}
		return i
	}
	others := i.Holders[:0:0]
	for _, h := range i.Holders {
		if h.Base == base {
			i.Out -= h.Permits
		} else {
			others = append(others, h)
		}
	}
	if i.Out <= 0 {
		return backends.Info{Base: i.Base}
	}
	i.Holders = others
	return i
}
