//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// marked makes sure that a test can show its point.
func marked(t *testing.T, b *Backend) {
	t.Helper()
	if !b.marks.on {
		t.Fatal("this system can't mark a directory: see newMarks")
	}
}

// TestALiveHoldSurvivesTheRemovalOfItsFiles: others never find the key free, and its
// holder goes on as if nothing was.
func TestALiveHoldSurvivesTheRemovalOfItsFiles(t *testing.T) {
	for name, remove := range map[string]func(b *Backend) error{
		"record":  func(b *Backend) error { return os.Remove(b.dir.join(recordName("k"))) },
		"session": func(b *Backend) error { return os.Remove(b.dir.join(b.session.name)) },
		"both": func(b *Backend) error {
			return errors.Join(os.Remove(b.dir.join(recordName("k"))), os.Remove(b.dir.join(b.session.name)))
		},
		"truncated": func(b *Backend) error { return os.Truncate(b.dir.join(recordName("k")), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := open(t, dir), open(t, dir)
			marked(t, a)
			var c, d claims
			r, waiting := c.request("k"), d.request("k")
			base := take(t, a, r).Base
			for range 20 {
				if err := remove(a); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				if reply, err := b.Acquire(t.Context(), waiting); err != nil || reply.Outcome != backends.Held {
					t.Fatalf("beside a live holder: %v, %v", reply.Outcome, err)
				}
				reply, err := a.Renew(t.Context(), r.Attempt, time.Minute, base)
				if err != nil || reply.Base <= base {
					t.Fatalf("renew: %+v after base %d, %v", reply, base, err)
				}
				base = reply.Base
				if info, err := b.Inspect(t.Context(), "k"); err != nil || !info.Held || *info.Holder != "test" {
					t.Fatalf("inspect: held %t, %v", info.Held, err)
				}
			}
			if err := a.Release(t.Context(), r.Attempt); err != nil {
				t.Errorf("release: %v", err)
			}
			if err := await(b, waiting, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRemovedFilesArePutBack without a call of their session.
func TestRemovedFilesArePutBack(t *testing.T) {
	for _, alarmed := range []bool{true, false} {
		dir := t.TempDir()
		a := open(t, dir)
		if !alarmed {
			a.watcher.deaf = true
		}
		var c claims
		take(t, a, c.request("k"))
		for range 3 {
			for _, file := range []string{recordName("k"), a.session.name} {
				if err := os.Remove(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				eventually(t, file+" is back", func() bool { _, err := os.Stat(filepath.Join(dir, file)); return err == nil })
			}
		}
		b := open(t, dir)
		if info, err := b.Inspect(t.Context(), "k"); err != nil || !info.Held {
			t.Errorf("inspect: held %t, %v", info.Held, err)
		}
		if !b.alive(a.session.name) {
			t.Error("its session looks dead")
		}
	}
}

// TestACrashFreesTheLeaseWithoutItsSessionFile as it does with it.
func TestACrashFreesTheLeaseWithoutItsSessionFile(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	holder := process(t, "hold", dir)
	if err := holder.Process.Signal(unix.SIGSTOP); err != nil { // it must not put the file back
		t.Fatal(err)
	}
	for _, file := range files(t, b, sessionPrefix) {
		if file != b.session.name {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var c claims
	r := c.request("k")
	if reply, err := b.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Held {
		t.Fatalf("beside a living holder: %v, %v", reply.Outcome, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := await(b, r, 30*time.Second); err != nil {
		t.Error(err)
	}
}

// TestAGuardKeepsAKeyWithoutAnyFile: its turnstile is gone, and both files are.
func TestAGuardKeepsAKeyWithoutAnyFile(t *testing.T) {
	dir := t.TempDir()
	holder, other := open(t, dir), open(t, dir)
	guard := sleeper(t, holder.SessionFile())
	var c, d claims
	take(t, holder, c.request("k"))
	vanish(t, holder)
	if err := errors.Join(os.Remove(filepath.Join(dir, recordName("k"))), os.Remove(filepath.Join(dir, holder.session.name))); err != nil {
		t.Fatal(err)
	}
	holder.watcher.mu.Lock()
	clear(holder.watcher.held) // it is gone, and can't put anything back
	holder.watcher.mu.Unlock()
	r := d.request("k")
	for range 20 {
		if reply, err := other.Acquire(t.Context(), r); err != nil || reply.Outcome != backends.Held {
			t.Fatalf("while the guard lives: %v, %v", reply.Outcome, err)
		}
	}
	if err := guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := await(other, r, 30*time.Second); err != nil {
		t.Error(err)
	}
}

// TestNobodyGetsInWhileFilesAreRemoved: somebody removes whatever there is, at any
// time, beside several who contend for two keys. A hold may be lost by that; two never
// overlap.
func TestNobodyGetsInWhileFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	var removing, working sync.WaitGroup
	removed := 0
	removing.Go(func() { // stopped by ctx; waited for below
		for ctx.Err() == nil {
			names, err := os.ReadDir(dir)
			if err != nil || len(names) == 0 {
				continue
			}
			if os.Remove(filepath.Join(dir, names[rand.N(len(names))].Name())) == nil {
				removed++
			}
			time.Sleep(rand.N(300 * time.Microsecond)) // so that calls get through at all
		}
	})
	var inside [2]atomic.Int32
	for range 6 {
		b := open(t, dir)
		marked(t, b)
		working.Go(func() { // stopped by its rounds; waited for below
			var c claims
			for round := range 60 {
				which := rand.N(len(inside))
				r := c.request(string(rune('a' + which)))
				if err := await(b, r, time.Minute); err != nil {
					t.Error(err)
					return
				}
				if n := inside[which].Add(1); n > 1 {
					t.Errorf("%d hold the key at once", n)
				}
				if time.Sleep(rand.N(time.Millisecond)); round%3 == 0 { // what it does with the key
					if _, err := b.Renew(context.Background(), r.Attempt, time.Minute, 0); err != nil && !backends.IsNotHeld(err) {
						t.Error(err)
					}
				}
				inside[which].Add(-1)
				if err := b.Release(context.Background(), r.Attempt); err != nil && !backends.IsNotHeld(err) {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	stop()
	removing.Wait()
	if removed < 100 {
		t.Errorf("only %d files were removed meanwhile: the test shows little", removed)
	}
}

// TestWhatIsWrittenToARemovedRecordDoesNotCount: it is removed while a call has its
// flock, and another is granted the key in the next one.
func TestWhatIsWrittenToARemovedRecordDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	r := d.request("k")
	var seen []backends.Token
	err := a.change(t.Context(), "k", true, func(rec *record, now int64) bool {
		if seen = append(seen, rec.lease.token); len(seen) > 1 {
			return false
		}
		if err := os.Remove(filepath.Join(dir, recordName("k"))); err != nil {
			t.Fatal(err)
		}
		take(t, b, r)
		rec.lease = lease{token: c.request("k").Token, session: a.session.name, ends: now + patience}
		return true
	})
	if err != nil || len(seen) != 2 || seen[1] != r.Token {
		t.Errorf("it saw the leases %v, %v", seen, err)
	}
}

// TestASleepingHolderIsFollowed: its lease is over, and its mark is still there, as a
// stopped process's is. Its record stays for as long, or nobody could tell.
func TestASleepingHolderIsFollowed(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c, d claims
	take(t, b, d.request("k"))
	if err := a.marks.set(recordName("k")); err != nil { // as if it had had it, and slept since
		t.Fatal(err)
	}
	backdate(t, b, "k", 2*time.Hour)
	old(t, filepath.Join(dir, recordName("k")), 2*keep)
	b.sweep()
	if len(files(t, b, recordPrefix)) != 1 {
		t.Fatal("the record was swept")
	}
	take(t, b, c.request("k"))
}

// TestARemovedDirectoryEndsItsHolds, since others meet in the next one of its name.
func TestARemovedDirectoryEndsItsHolds(t *testing.T) {
	for name, remove := range map[string]func(string) error{
		"removed": removeAll, "renamed": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "locks")
			a, wakes := subscribed(t, dir)
			var c claims
			r := c.request("k")
			take(t, a, r)
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			told(t, wakes, "")
			if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, 0); !backends.IsNotHeld(err) {
				t.Errorf("renew: %v", err)
			}
			if reply, err := a.Acquire(t.Context(), c.request("k")); reply.Outcome != backends.NotRun || !backends.IsRefused(err) || !strings.Contains(err.Error(), dir) {
				t.Errorf("acquire: %v, %v", reply.Outcome, err)
			}
			if err := a.Release(t.Context(), r.Attempt); err != nil && !backends.IsNotHeld(err) {
				t.Errorf("release: %v", err)
			}
		})
	}
}

// removeAll goes on where a file was put back meanwhile.
func removeAll(dir string) error {
	for start := time.Now(); ; {
		if err := os.RemoveAll(dir); err == nil || time.Since(start) > time.Minute {
			return err
		}
	}
}
