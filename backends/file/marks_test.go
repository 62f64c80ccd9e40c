//go:build linux || darwin

package file

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// TestTwoMarksOnARemovedRecordFreeNoKey: one is of a holder that has slept past its
// end. The holder of today can't put its record back beside that, and its caller believes
// in its hold until it hears of the end.
func TestTwoMarksOnARemovedRecordFreeNoKey(t *testing.T) {
	dir := t.TempDir()
	slept, a, b := open(t, dir), open(t, dir), open(t, dir)
	marked(t, a)
	a.watcher.deaf = true // mended below, and not at some time
	var c, d claims
	r := c.request("k")
	base := take(t, a, r).Base
	if err := slept.marks.set(recordName("k")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(a.dir.join(recordName("k"))); err != nil {
		t.Fatal(err)
	}
	a.mend(nil, true)
	if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, base); !errors.Is(err, backends.ErrUnavailable) || backends.IsRefused(err) {
		t.Errorf("renew beside another's mark: %v", err)
	}
	slept.marks.clear(recordName("k")) // it woke up
	if reply, err := b.Acquire(t.Context(), d.request("k")); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("beside a holder that was told nothing: %v, %v", reply.Outcome, err)
	}
	if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, base); err != nil {
		t.Errorf("renew when the other mark is gone: %v", err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Errorf("release: %v", err)
	}
}

// TestALeaseThatIsOverIsNoRightToANewRecord: a process went on after it had slept past the
// end of its lease, whose end it has not noticed yet. Somebody else has the key, and its
// record was just removed.
func TestALeaseThatIsOverIsNoRightToANewRecord(t *testing.T) {
	dir := t.TempDir()
	slept, a := open(t, dir), open(t, dir)
	marked(t, a)
	a.watcher.deaf = true // its record is not back at once
	var c, d claims
	take(t, a, c.request("k"))
	slept.watcher.held["k"] = holding{lease: lease{token: d.request("k").Token, session: slept.session.name, ends: 1}}
	if err := errors.Join(slept.marks.set(recordName("k")), os.Remove(a.dir.join(recordName("k")))); err != nil {
		t.Fatal(err)
	}
	if reply, err := slept.Acquire(t.Context(), d.request("k")); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("beside a live holder: %v, %v", reply.Outcome, err)
	}
	if a.marks.others(recordName("k")) {
		t.Error("its mark is still there, and its lease over")
	}
}

// TestAReleaseNeedsNoRecord, and has nothing to wait for beside another's mark.
func TestAReleaseNeedsNoRecord(t *testing.T) {
	dir := t.TempDir()
	slept, a, b := open(t, dir), open(t, dir), open(t, dir)
	marked(t, a)
	var c, d claims
	r := c.request("k")
	take(t, a, r)
	if err := errors.Join(slept.marks.set(recordName("k")), os.Remove(a.dir.join(recordName("k")))); err != nil {
		t.Fatal(err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Errorf("release: %v", err)
	}
	slept.marks.clear(recordName("k"))
	take(t, b, d.request("k"))
}

// TestARecordIsPutBackWhereAnEmptyOneStands: a waiter that found none has made it, just
// before its holder looked.
func TestARecordIsPutBackWhereAnEmptyOneStands(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	marked(t, a)
	a.watcher.deaf = true // mended below, and not at some time
	var c, d claims
	take(t, a, c.request("k"))
	if err := os.Remove(a.dir.join(recordName("k"))); err != nil {
		t.Fatal(err)
	}
	if reply, err := b.Acquire(t.Context(), d.request("k")); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("beside a live holder: %v, %v", reply.Outcome, err)
	}
	a.mend([]string{recordName("k")}, false)
	if info, err := b.Inspect(t.Context(), "k"); err != nil || !info.Held || info.Holder == nil {
		t.Errorf("inspect: held %t, %v", info.Held, err)
	}
}

// TestAStoppedHolderWithoutARecordIsNoFreeKey to whoever looks at it, or wants to end
// its hold: nobody is granted the key, and there is nobody to tell.
func TestAStoppedHolderWithoutARecordIsNoFreeKey(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	marked(t, b)
	holder := process(t, "hold", dir)
	if err := holder.Process.Signal(unix.SIGSTOP); err != nil { // it must not put the file back
		t.Fatal(err)
	}
	if err := os.Remove(b.dir.join(recordName("k"))); err != nil {
		t.Fatal(err)
	}
	var c claims
	for _, made := range []bool{false, true} {
		if info, err := b.Inspect(t.Context(), "k"); err != nil || !info.Held || info.Holder != nil {
			t.Errorf("inspect: held %t, %v (an empty record: %t)", info.Held, err, made)
		}
		found, err := b.Revoke(t.Context(), "k", backends.Revocation{})
		if found != backends.NobodyHolds || !errors.Is(err, errUntold) || !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("revoke: %v, %v (an empty record: %t)", found, err, made)
		}
		if reply, err := b.Acquire(t.Context(), c.request("k")); err != nil || reply.Outcome != backends.Held {
			t.Errorf("acquire: %v, %v", reply.Outcome, err)
		}
	}
	if err := holder.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it puts its record back", func() bool {
		info, err := b.Inspect(t.Context(), "k")
		return err == nil && info.Held && info.Holder != nil
	})
	if found, err := b.Revoke(t.Context(), "k", backends.Revocation{}); err != nil || found != backends.Marked {
		t.Errorf("revoke when it goes on: %v, %v", found, err)
	}
}

// TestNoSessionGoesWithoutMarksForWantOfADescriptor: it would be blind to those of
// others, too.
func TestNoSessionGoesWithoutMarksForWantOfADescriptor(t *testing.T) {
	dir := t.TempDir()
	marked(t, open(t, dir))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=few descriptors", dirVariable+"="+dir)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// openWithFew opens a backend with no descriptor left, with one, with two, and so on
// until that succeeds.
func openWithFew(dir string) error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	first, err := Open(dir) // the runtime needs some of its own for the first file, or dies
	if err != nil {
		return err
	}
	first.Close()
	var taken []int
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	for _, fd := range taken {
		b, err := Open(dir)
		switch {
		case err == nil && !b.marks.on:
			return errors.New("it opened without marks")
		case err == nil:
			return b.Close()
		case !errors.Is(err, unix.EMFILE) || backends.IsRefused(err):
			return fmt.Errorf("want an error that passes, got %w", err)
		}
		unix.Close(fd)
	}
	return errors.New("it did not open at all")
}
