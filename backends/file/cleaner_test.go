//go:build linux || darwin

package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCleanersAreKeptOut as systemd-tmpfiles looks whether it may clean: by a flock on
// the directory. A guard keeps it out as well.
func TestCleanersAreKeptOut(t *testing.T) {
	dir := t.TempDir()
	cleaner, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cleaner.Close()
	may := func() bool {
		free, err := tryFlock(int(cleaner.Fd()), unix.LOCK_EX)
		if err != nil {
			t.Fatal(err)
		}
		return free
	}
	if !may() {
		t.Fatal("nobody is here")
	}
	// It is at work while two sessions begin; they have it out when they hold something.
	a, b := open(t, dir), open(t, dir)
	if err := unix.Flock(int(cleaner.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	var c, d claims
	take(t, a, c.request("k"))
	take(t, b, d.request("other"))
	if may() {
		t.Error("it may clean beside two holds")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if may() {
		t.Error("it may clean beside one hold")
	}
	guard := sleeper(t, b.SessionFile())
	vanish(t, b)
	if may() {
		t.Error("it may clean beside a guard")
	}
	guard.Process.Kill()
	guard.Wait()
	if !may() {
		t.Error("nobody holds anything, and it may not clean")
	}
}

// TestARenewalRefreshesTheTimes that cleaners go by.
func TestARenewalRefreshesTheTimes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	b := open(t, dir)
	var c claims
	r := c.request("k")
	take(t, b, r)
	paths := []string{dir, filepath.Join(dir, recordName("k")), filepath.Join(dir, b.session.name)}
	for _, path := range paths {
		old(t, path, 30*24*time.Hour)
	}
	if _, err := b.Renew(t.Context(), r.Attempt, time.Minute, 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		read, written := time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix())
		if time.Since(read) > time.Hour || time.Since(written) > time.Hour {
			t.Errorf("%s: read %v, written %v", path, read, written)
		}
	}
}
