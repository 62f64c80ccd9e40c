//go:build linux || darwin

package file

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

// fixed is a clock that stands at us.
func fixed(epoch uint64, us int64) clock {
	return clock{epoch: epoch, now: func() int64 { return us }}
}

const someSession = sessionPrefix + "00112233445566778899aabbccddeeff"

func TestRecordsSurviveTheirEncoding(t *testing.T) {
	t.Parallel()
	session := backends.NewSession()
	rapid.Check(t, func(t *rapid.T) {
		want := &record{
			key:  rapid.String().Draw(t, "key"),
			seq:  rapid.Uint64().Draw(t, "seq"),
			last: rapid.Uint64().Draw(t, "last"),
		}
		if rapid.Bool().Draw(t, "held") {
			want.lease = lease{token: session.Token(rapid.Uint64Range(1, 99).Draw(t, "attempt")), session: someSession,
				label: rapid.String().Draw(t, "label"), at: rapid.Int64().Draw(t, "at"), ends: rapid.Int64().Draw(t, "ends"), promised: rapid.Bool().Draw(t, "promised"),
				first: rapid.Uint64().Draw(t, "first"), revoked: rapid.Bool().Draw(t, "revoked"), reason: rapid.String().Draw(t, "reason")}
		}
		if rapid.Bool().Draw(t, "rests") {
			want.rest = rest{until: rapid.Int64().Draw(t, "until"), first: rapid.Uint64().Draw(t, "first of rest"), label: rapid.String().Draw(t, "rester")}
		}
		for n := range rapid.Uint64Range(0, 20).Draw(t, "waiting") {
			want.queue = append(want.queue, waiter{session.Token(n + 1), someSession, rapid.String().Draw(t, "name"), rapid.Int64().Draw(t, "since"), rapid.Int64().Draw(t, "alive"), drawWish(t)})
		}
		for n := range rapid.Uint64Range(0, 5).Draw(t, "shares") {
			want.kind = backends.Shared
			want.shares = append(want.shares, share{token: session.Token(n + 1), session: someSession, label: rapid.String().Draw(t, "sharer"),
				at: rapid.Int64().Draw(t, "granted"), ends: rapid.Int64().Draw(t, "share ends"), n: rapid.IntRange(0, 9).Draw(t, "n"), permits: rapid.IntRange(1, 9).Draw(t, "permits"),
				first: rapid.Uint64().Draw(t, "first"), base: rapid.Uint64().Draw(t, "base"), revoked: rapid.Bool().Draw(t, "share revoked"), reason: rapid.String().Draw(t, "why")})
		}
		c := fixed(7, 1000)
		slot := want.encode(c)
		version := byte(3)
		if want.rest != (rest{}) {
			version = 4
		}
		if len(want.shares) > 0 || slices.ContainsFunc(want.queue, func(w waiter) bool { return w.kind != backends.Exclusive }) {
			version = 5
		}
		if slot[4] != version {
			t.Fatalf("version %d, want %d", slot[4], version)
		}
		got, err := decode(slot, c)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v comes back as %v, %v", want, got, err)
		}
		// What stood in the slot before, behind the end, does not count.
		if got, err = decode(append(slot, slot...), c); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("with a rest behind it: %v", err)
		}
		// Cut anywhere, or with any bit turned, it is no record.
		if _, err := decode(slot[:rapid.IntRange(0, len(slot)-1).Draw(t, "cut")], c); err == nil {
			t.Fatal("a torn record was read")
		}
		at := rapid.IntRange(8, len(slot)-1).Draw(t, "at")
		slot[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decode(slot, c); err == nil {
			t.Fatalf("a record with a wrong byte %d was read", at)
		}
	})
}

// drawWish is of a waiter that wants a lock, more often than not.
func drawWish(t *rapid.T) wish {
	if rapid.IntRange(0, 19).Draw(t, "kind") > 0 {
		return wish{}
	}
	return wish{backends.Slots, rapid.IntRange(1, 10).Draw(t, "slots"), rapid.IntRange(1, 10).Draw(t, "wanted")}
}

func TestTheLongestRecordFits(t *testing.T) {
	t.Parallel()
	session := backends.NewSession()
	r := &record{key: strings.Repeat("k", 512+256), lease: lease{token: session.Token(1), session: someSession, label: cut(strings.Repeat("é", 999), maxLabel),
		reason: cut(strings.Repeat("é", 999), backends.MaxReason)}, rest: rest{until: 1, label: cut(strings.Repeat("é", 999), maxWaiterLabel)}}
	for n := range uint64(maxQueue + 10) {
		r.wait(waiter{session.Token(n + 1), someSession, cut(strings.Repeat("é", 999), maxWaiterLabel), 1, 1, wish{backends.Slots, 3, 2}}, 1)
	}
	for n := range uint64(maxShares) {
		r.shares = append(r.shares, share{token: session.Token(n + 1), session: someSession, label: cut(strings.Repeat("é", 999), maxWaiterLabel),
			reason: cut(strings.Repeat("é", 999), backends.MaxReason)})
	}
	if slot := r.encode(fixed(0, 0)); len(slot) > maxSlot || len(r.queue) != maxQueue {
		t.Errorf("%d bytes for %d waiters, %d fit", len(slot), len(r.queue), maxSlot)
	}
}

// TestTimesOfAnotherEpochAreCarriedOver: after a reboot, or in a time
// namespace of its own, a reader's clock started elsewhere. What was left of
// the lease when it was written must be what is left now, less the wall time
// between.
func TestTimesOfAnotherEpochAreCarriedOver(t *testing.T) {
	t.Parallel()
	writer, reader := fixed(1, 5_000_000), fixed(2, 900_000_000)
	r := &record{key: "k", lease: lease{token: backends.NewSession().Token(1), session: someSession, at: 4_000_000, ends: 65_000_000}, rest: rest{until: 65_000_000}}
	got, err := decode(r.encode(writer), reader)
	if err != nil {
		t.Fatal(err)
	}
	left := span(got.lease.ends - reader.now())
	if left > time.Minute+time.Second || left < time.Minute-5*time.Second {
		t.Errorf("%v are left of a minute", left)
	}
	if got.rest.until != got.lease.ends {
		t.Errorf("the rest ends at %d, the lease at %d", got.rest.until, got.lease.ends)
	}
	if same, err := decode(r.encode(writer), writer); err != nil || same.lease != r.lease {
		t.Errorf("within one epoch: %v, %v", same, err)
	}
}

func TestLabelsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]int{"": 0, strings.Repeat("a", 256): 256, strings.Repeat("a", 300): 256, "a" + strings.Repeat("é", 200): 255, strings.Repeat("\x80", 300): 252} {
		if got := cut(label, maxLabel); len(got) != want || !strings.HasPrefix(label, got) {
			t.Errorf("%d bytes are cut to %d, want %d", len(label), len(got), want)
		}
	}
}

// slots returns a record's file for the tests to spoil.
func slots(t *testing.T, b *Backend, key string) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(b.dir.path, recordName(key)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func garble(t *testing.T, f *os.File, at int64) {
	t.Helper()
	if _, err := f.WriteAt([]byte("torn"), at+headerSize+4); err != nil {
		t.Fatal(err)
	}
}

// TestATornWriteDidNotHappen: the newest slot is torn, and the state before
// it holds.
func TestATornWriteDidNotHappen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	r := c.request("k")
	reply := take(t, a, r) // seq 1, the first slot
	if _, err := a.Renew(t.Context(), r.Attempt, time.Hour, reply.Base); err != nil {
		t.Fatal(err)
	}
	garble(t, slots(t, a, "k"), page)
	if reply, err := b.Acquire(t.Context(), d.request("k")); err != nil || reply.Outcome != backends.Held || reply.FreeIn > time.Minute {
		t.Fatalf("beside the first lease: %+v, %v", reply, err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Error(err)
	}
}

func TestATornFirstWriteGrantsTheNext(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	whole := (&record{key: "k", seq: 1}).encode(b.clock)
	for cut := range len(whole) {
		file := filepath.Join(b.dir.path, recordName("k"))
		if err := os.WriteFile(file, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		r := c.request("k")
		take(t, b, r)
		if err := b.Release(t.Context(), r.Attempt); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnUnreadableRecordGrantsNothing, says where it is, and does not wedge
// its key for ever.
func TestAnUnreadableRecordGrantsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	r := c.request("k")
	reply := take(t, a, r)
	if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, reply.Base); err != nil {
		t.Fatal(err)
	}
	f := slots(t, a, "k")
	garble(t, f, 0)
	garble(t, f, page)
	got, err := b.Acquire(t.Context(), d.request("k"))
	if got.Outcome != backends.NotRun || !errors.Is(err, errTorn) || !backends.IsRefused(err) || !strings.Contains(err.Error(), f.Name()) {
		t.Errorf("acquire: %v, %v", got.Outcome, err)
	}
	if _, err := b.Inspect(t.Context(), "k"); !backends.IsRefused(err) {
		t.Errorf("inspect: %v", err)
	}
	if err := a.Release(t.Context(), r.Attempt); !backends.IsRefused(err) {
		t.Errorf("release: %v", err)
	}
	old := time.Now().Add(-forgotten - time.Minute)
	if err := os.Chtimes(f.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	take(t, b, d.request("k"))
}

func TestAForeignFileGrantsNothing(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	for key, content := range map[string]string{
		"text":      "shopping list",
		"newer":     "",
		"other key": string((&record{key: "not this", seq: 1}).encode(b.clock)),
	} {
		if key == "newer" {
			slot := (&record{key: key, seq: 1}).encode(b.clock)
			slot[4] = versionShares + 1
			content = string(slot)
		}
		if err := os.WriteFile(filepath.Join(b.dir.path, recordName(key)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if reply, err := b.Acquire(t.Context(), c.request(key)); reply.Outcome != backends.NotRun || !backends.IsRefused(err) {
			t.Errorf("%s: %v, %v", key, reply.Outcome, err)
		}
	}
}

// TestAFullDiskLeavesTheLeaseAsItWas: the write fails, and nothing changed.
func TestAFullDiskLeavesTheLeaseAsItWas(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	r := c.request("k")
	take(t, b, r)
	// A descriptor that can't be written to stands for a disk that can't.
	fd, err := unix.Open(filepath.Join(b.dir.path, recordName("k")), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	before, err := b.load(fd, "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := write(fd, before, before.encode(b.clock)); err == nil {
		t.Error("a write that can't succeed did")
	}
	if after, err := b.load(fd, "k"); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%v became %v, %v", before, after, err)
	}
}
