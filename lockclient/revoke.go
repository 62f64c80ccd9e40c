package lockclient

import (
	"context"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/backends"
)

// Revoked is what Client.Revoke found and did.
type Revoked = backends.Revoked

// The outcomes of Client.Revoke.
const (
	NobodyHolds = backends.NobodyHolds // the key is free
	Superseded  = backends.Superseded  // another holder has it than the fence's
	Foreign     = backends.Foreign     // another library's client has it; it can't be told
	Marked      = backends.Marked      // the holder is told to stop and release
	Deleted     = backends.Deleted     // the lease is gone
)

// A Revocation says which hold Client.Revoke ends, and how.
type Revocation struct {
	// Fence, if not 0, is the hold's: nothing is revoked if its lease is no longer
	// the one that has the key. Holds that a process hands on locally share a lease.
	// Of a key that is held shared or by slot holds it is Holder.Fence, and names that one process;
	// 0 means all of them.
	Fence uint64
	// Now deletes the key, if its holder has not released it 0.6 s after it was asked
	// to stop. It is for a holder that does not answer any more. Another library's
	// key is deleted at once. A holder that still runs overlaps with the next one,
	// but its process hands nothing on. This client's own holds end at once, and
	// their key is released. Of a key that several hold, each is deleted alone.
	Now bool
	// Reason is shown to the holder, in the text of the error that its Context ends
	// with: 0 to MaxReason bytes of UTF-8 without control characters. It reaches holders
	// over file:// alone: the other backends keep no reasons, and revoke without one. A
	// hold that was revoked before keeps its first reason.
	Reason string
}

// MaxReason is how long Revocation.Reason may be, in bytes.
const MaxReason = backends.MaxReason

// Revoke ends somebody's hold of key. Unless r.Now is set, its holder's Context
// ends with ErrLost, and the key stays its own until it has released it or its
// deadline has come; it is not renewed any more. Holders learn of it at once over
// redis:// and embedded://, within 250 ms over file://, and else when they renew.
//
// Its errors: ErrInvalid for a key or a reason out of its limits, and on a backend that
// can't revoke; ErrUnavailable when the backend does not answer; ErrClosed.
func (c *Client) Revoke(ctx context.Context, key string, r Revocation) (Revoked, error) {
	if err := checkKey(key); err != nil {
		return NobodyHolds, err
	}
	if c.coordinator.Closed() {
		return NobodyHolds, ErrClosed
	}
	revoker, ok := c.backend.(backends.Revoker)
	if !ok {
		return NobodyHolds, invalid("%s can't revoke a hold", backends.Describe(c.backend).Name)
	}
	if len(r.Reason) > MaxReason || !utf8.ValidString(r.Reason) || strings.ContainsFunc(r.Reason, unicode.IsControl) {
		return NobodyHolds, invalid("Revocation.Reason: at most %d bytes of UTF-8 without control characters", MaxReason)
	}
	base := r.Fence >> fenceBits
	if r.Fence != 0 && base == 0 {
		base = 1 // no hold ever had such a fence; 0 would mean whoever has the key
	}
	return c.coordinator.Revoke(ctx, revoker, key, backends.Revocation{Base: base, Now: r.Now, Reason: r.Reason})
}

// fenceBits are those that a process counts in, below the backend's base.
const fenceBits = 10

// List tells of all keys that are held under this client's prefix, by anybody on
// its backend, sorted by key. It is no snapshot: keys come and go while it runs.
//
// Its errors: ErrInvalid on a backend that can't list; ErrUnavailable; ErrClosed.
func (c *Client) List(ctx context.Context) ([]Info, error) {
	if c.coordinator.Closed() {
		return nil, ErrClosed
	}
	lister, ok := c.backend.(backends.Lister)
	if !ok {
		return nil, invalid("%s can't list its keys", backends.Describe(c.backend).Name)
	}
	full, err := lister.List(ctx, c.cfg.KeyPrefix)
	if err != nil {
		return nil, err
	}
	all := make([]Info, len(full))
	errs := make([]error, len(full))
	// Side by side, since a server answers many in the time of one.
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	for i, name := range full {
		slots <- struct{}{}
		wg.Go(func() { // ends with its one call
			defer func() { <-slots }()
			all[i], errs[i] = c.inspect(ctx, strings.TrimPrefix(name, c.cfg.KeyPrefix))
		})
	}
	wg.Wait()
	held := all[:0]
	for i := range all {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if all[i].Held { // else it was released meanwhile
			held = append(held, all[i])
		}
	}
	return held, nil
}
