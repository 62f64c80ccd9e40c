//go:build linux || darwin

package file

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// usage is the length of a record and what it takes of the disk, in bytes.
func usage(t *testing.T, b *Backend, key string) (length, disk int64) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(b.dir.path, recordName(key)), &st); err != nil {
		t.Fatal(err)
	}
	return st.Size, st.Blocks * 512
}

// TestAHoldTakesItsBlocksWhenItIsGranted: nothing that its holder does later makes
// the file longer, or takes a block, so that a disk that is full by then ends no hold.
// The same after others have made the queue long.
func TestAHoldTakesItsBlocksWhenItIsGranted(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var holder claims
	r := holder.request("k")
	base := take(t, b, r).Base
	length, disk := usage(t, b, "k")
	if length > 8<<10 {
		t.Errorf("the file of one held key is %d bytes long", length)
	}
	settle := func(during string) {
		t.Helper()
		if length, disk = usage(t, b, "k"); disk < length {
			t.Errorf("%s: of %d bytes %d are on the disk: the rest is still to be had", during, length, disk)
		}
		for n := range 4 {
			reply, err := b.Renew(t.Context(), r.Attempt, time.Minute, base)
			if err != nil {
				t.Fatal(err)
			}
			base = reply.Base
			if l, d := usage(t, b, "k"); l != length || d != disk {
				t.Fatalf("%s: renewal %d made %d bytes (%d on the disk) of %d (%d)", during, n, l, d, length, disk)
			}
		}
	}
	settle("alone")
	var waiting []backends.Request
	for range 200 {
		var c claims
		w := c.request("k")
		if reply, err := b.Acquire(t.Context(), w); err != nil || reply.Place == 0 {
			t.Fatalf("%+v, %v", reply, err)
		}
		waiting = append(waiting, w)
	}
	settle("with 200 in the queue")
	if length <= 8<<10 {
		t.Fatalf("the queue made the file no longer than %d bytes: the test shows nothing", length)
	}
	for _, w := range waiting {
		if err := b.Cancel(t.Context(), w.Attempt); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Renew(t.Context(), r.Attempt, time.Minute, base); err != nil {
		t.Fatal(err)
	}
	if length, _ := usage(t, b, "k"); length > 8<<10 {
		t.Errorf("without a queue again the file is %d bytes long", length)
	}
}
