//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
)

// TestLookingNeedsNothingButReading: another process lists and inspects, which can read
// the directory and its files and not write there. Under root it is another user's;
// an ordinary user takes its own right to write away.
func TestLookingNeedsNothingButReading(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, dir, Shared()), open(t, dir, Shared())
	queued(t, a, b, &claims{}, &claims{})
	cmd := exec.Command(os.Args[0])
	if os.Geteuid() == 0 {
		cmd.Path = programForAll(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	} else {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o755) // or nobody could close what is open
	}
	cmd.Env = []string{roleVariable + "=look", dirVariable + "=" + dir}
	said, err := cmd.CombinedOutput()
	if want := "[k] true test 1\n"; err != nil || string(said) != want {
		t.Errorf("it says %q, want %q; %v", said, want, err)
	}
}

// programForAll is a copy of this program that every user may run, whatever umask it
// was built with, and in a folder that every user may enter.
func programForAll(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "test")
	program, err := os.ReadFile(os.Args[0])
	if err = errors.Join(err, os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.WriteFile(path, program, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// lookAround is the process of that test.
func lookAround(dir string) error {
	if _, err := Open(dir, Shared()); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("it can write: %w", err)
	}
	b, err := Open(dir, Shared(), Reading())
	if err != nil {
		return err
	}
	defer b.Close()
	ctx := context.Background()
	keys, err := b.List(ctx, "")
	if err != nil {
		return err
	}
	info, err := b.Inspect(ctx, "k")
	if err != nil {
		return err
	}
	fmt.Println(keys, info.Held, *info.Holder, *info.Waiting)
	return nil
}

// TestWhoMayLook at a directory: root and its owner, and all that its mode lets if they
// named it. Its owner alone may work there.
func TestWhoMayLook(t *testing.T) {
	dir := t.TempDir()
	me := os.Geteuid()
	if me == 0 { // a directory of root's own shows nothing of what root may do
		if me = 54321; os.Chown(dir, me, me) != nil {
			t.Fatal("root can't give a directory away")
		}
	}
	for _, tt := range []struct {
		options
		uid int
		may bool
	}{
		{options{reading: true}, me, true},
		{options{reading: true}, 0, true},
		{options{reading: true}, me + 1, false},
		{options{reading: true, shared: true}, me + 1, true},
		{options{}, me, true},
		{options{}, 0, false},
		{options{shared: true}, me + 1, false},
		{options{shared: true}, 0, false},
	} {
		d, err := openDirectory(dir, options{reading: true, shared: true})
		if err != nil {
			t.Fatal(err)
		}
		d.options = tt.options
		if err := d.verify(tt.uid); (err == nil) != tt.may {
			t.Errorf("user %d of %d, %+v: %v", tt.uid, me, tt.options, err)
		}
		d.file.Close()
	}
}

// TestReadingChangesNothing: not by a verb, and not by being there; and what can't be
// read is no free key.
func TestReadingChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	if _, err := Open(dir, Reading()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	a := open(t, dir)
	var c claims
	r := c.request("k")
	take(t, a, r)
	was := len(files(t, a, ""))
	b := open(t, dir, Reading())
	if reply, err := b.Acquire(t.Context(), c.request("k")); reply.Outcome != backends.NotRun || !backends.IsRefused(err) {
		t.Errorf("acquire: %v, %v", reply.Outcome, err)
	}
	_, err := b.Renew(t.Context(), r.Attempt, 0, 0)
	_, revoked := b.Revoke(t.Context(), "k", backends.Revocation{})
	for _, err := range []error{err, revoked, b.Release(t.Context(), r.Attempt), b.Cancel(t.Context(), r.Attempt)} {
		if !backends.IsRefused(err) {
			t.Errorf("it changes something: %v", err)
		}
	}
	if is := len(files(t, a, "")); is != was || b.SessionFile() != nil {
		t.Errorf("%d files, of %d before", is, was)
	}
}
