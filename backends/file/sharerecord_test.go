//go:build linux || darwin

package file

import (
	"encoding/hex"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

// TestALockThatBecomesAShareNeedsNoBlock beside a long queue, whatever its length: it took that at its grant.
func TestALockThatBecomesAShareNeedsNoBlock(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	holder := c.request("k")
	base := take(t, b, holder).Base
	for round := range 70 {
		length, disk := usage(t, b, "k")
		holder.Kind = backends.Shared
		reply, err := b.RenewShare(t.Context(), holder, base)
		if err != nil || reply.Kind != backends.Shared {
			t.Fatalf("downgrade: %v, %v", reply.Kind, err)
		}
		if l, d := usage(t, b, "k"); l != length || d != disk || d < l {
			t.Fatalf("beside %d waiters a lock becomes a share and makes %d bytes (%d on the disk) of %d (%d)", round, l, d, length, disk)
		}
		if err := b.Release(t.Context(), holder.Attempt); err != nil {
			t.Fatal(err)
		}
		// The first that waits was promised the key: it is the next holder.
		r, err := b.peek(recordName("k"))
		if err != nil {
			t.Fatal(err)
		}
		holder = c.request("k")
		if r.lease.promised {
			holder.Token = r.lease.token
		}
		base = take(t, b, holder).Base
		for range 2 {
			var d claims
			w := d.request("k")
			w.Label = "a label of some length"
			refused(t, b, w)
		}
	}
}

func TestManySharesTakeTheirBlocksAtTheirGrants(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	var sharers []backends.Request
	for range 100 {
		sharers = append(sharers, c.reader("s"))
		joins(t, b, sharers[len(sharers)-1])
	}
	length, disk := usage(t, b, "s")
	if length <= 8<<10 || disk < length {
		t.Fatalf("100 shares in %d bytes, %d on the disk", length, disk)
	}
	for _, r := range sharers {
		if _, err := b.RenewShare(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
		if l, d := usage(t, b, "s"); l != length || d != disk {
			t.Fatalf("a renewal made %d bytes (%d on the disk) of %d (%d)", l, d, length, disk)
		}
	}
	for _, r := range sharers[1:] {
		if err := b.Release(t.Context(), r.Attempt); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.RenewShare(t.Context(), sharers[0], 0); err != nil {
		t.Fatal(err)
	}
	if length, _ := usage(t, b, "s"); length > 8<<10 {
		t.Errorf("with one share again the file is %d bytes long", length)
	}
}

// TestAKeyThatNobodySharesIsAsBefore: programs from before there were shares go on with it.
func TestAKeyThatNobodySharesIsAsBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	version := func() byte {
		t.Helper()
		r, err := a.peek(recordName("k"))
		if err != nil {
			t.Fatal(err)
		}
		f := slots(t, a, "k")
		var at [5]byte
		if _, err := f.ReadAt(at[:], place(int((r.seq+1)%2), 0)); err != nil {
			t.Fatal(err)
		}
		return at[4]
	}
	var c, d claims
	lock, r, q := c.request("k"), c.reader("k"), d.reader("k")
	take(t, a, lock)
	if v := version(); v != 3 {
		t.Errorf("version %d of a lock", v)
	}
	refused(t, b, q)
	if v := version(); v != 5 {
		t.Errorf("version %d of a lock that a reader waits for", v)
	}
	if err := b.Cancel(t.Context(), q.Attempt); err != nil {
		t.Fatal(err)
	}
	if v := version(); v != 3 {
		t.Errorf("version %d once it waits no more", v)
	}
	if err := a.Release(t.Context(), lock.Attempt); err != nil {
		t.Fatal(err)
	}
	joins(t, a, r)
	if v := version(); v != 5 {
		t.Errorf("version %d of a share", v)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Fatal(err)
	}
	if v := version(); v != 3 {
		t.Errorf("version %d after the last share", v)
	}
}

// TestRecordsOfEarlierProgramsAreRead: written by the program of before there were shares.
func TestRecordsOfEarlierProgramsAreRead(t *testing.T) {
	t.Parallel()
	session := backends.Session("00000000000000000042")
	for rests, text := range map[bool]string{false: recordOfVersion3, true: recordOfVersion4} {
		slot, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decode(slot, fixed(7, 1000))
		if err != nil {
			t.Fatal(err)
		}
		want := lease{token: session.Token(1), session: someSession, label: "holder", at: 10, ends: 20, first: 30, revoked: true, reason: "why"}
		if r.key != "k" || r.seq != 5 || r.last != 40 || r.lease != want || r.shares != nil {
			t.Errorf("%+v", r)
		}
		if len(r.queue) != 1 || r.queue[0] != (waiter{token: session.Token(2), session: someSession, label: "waiter", since: 50, alive: 60}) {
			t.Errorf("waiting: %+v", r.queue)
		}
		if rests && r.rest != (rest{70, 30, "holder"}) || !rests && r.rest != (rest{}) {
			t.Errorf("rest: %+v", r.rest)
		}
		again := r.encode(fixed(7, 1000))
		if decoded, err := decode(again, fixed(7, 1000)); err != nil || again[4] != slot[4] || decoded.lease != r.lease {
			t.Errorf("written again as version %d, %v", again[4], err)
		}
	}
}

const (
	recordOfVersion3 = "5453544c03000000fd367524140100000500000000000000016b0700000000000000e803000000000000a17112396a61060028000000000000002c34" +
		"3130323434343830302e31303030303030303030303030303030303030343230303030303030303030303122732d3030313132323333343435353636" +
		"37373838393961616262636364646565666606686f6c6465720a00000000000000140000000000000000000000000000001e00000000000000010000" +
		"00000000000377687901000000000000002c343130323434343830302e31303030303030303030303030303030303030343230303030303030303030" +
		"303222732d30303131323233333434353536363737383839396161626263636464656566660677616974657232000000000000003c00000000000000"
	recordOfVersion4 = "5453544c0400000081571a732b0100000500000000000000016b0700000000000000e803000000000000a87112396a61060028000000000000002c34" +
		"3130323434343830302e31303030303030303030303030303030303030343230303030303030303030303122732d3030313132323333343435353636" +
		"37373838393961616262636364646565666606686f6c6465720a00000000000000140000000000000000000000000000001e00000000000000010000" +
		"00000000000377687901000000000000002c343130323434343830302e31303030303030303030303030303030303030343230303030303030303030" +
		"303222732d30303131323233333434353536363737383839396161626263636464656566660677616974657232000000000000003c00000000000000" +
		"46000000000000001e0000000000000006686f6c646572"
)
