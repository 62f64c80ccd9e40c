//go:build linux || darwin

package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// subscribed opens a backend and returns what it is woken with.
func subscribed(t *testing.T, dir string, opts ...Option) (*Backend, <-chan backends.Wake) {
	t.Helper()
	b := open(t, dir, opts...)
	wakes := make(chan backends.Wake, 1000)
	if err := b.Subscribe(backends.NewSession(), func(w backends.Wake) { wakes <- w }); err != nil {
		t.Fatal(err)
	}
	return b, wakes
}

// told waits for the next wake, which has to be about key.
func told(t *testing.T, wakes <-chan backends.Wake, key string) {
	t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case w := <-wakes:
		if w != (backends.Wake{Key: key, Kind: backends.Revoking}) {
			t.Fatalf("woken with %+v", w)
		}
	case <-timer.C:
		t.Fatalf("not told of %q", key)
	}
}

// watching reports whether the goroutine runs.
func (w *watcher) watching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for tick := time.NewTicker(2 * time.Millisecond); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestAHolderIsToldOfARevocation, by name, of each, and of a deletion as well: with
// no renewal to ask for it, as no lease ends within longEnough.
func TestAHolderIsToldOfARevocation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, wakes := subscribed(t, dir)
	b := open(t, dir)
	var c claims
	for _, key := range []string{"a", "b\n", "c\x01"} {
		take(t, a, c.request(key))
	}
	for _, r := range []backends.Revocation{{}, {}, {Now: true}} { // the second may be another's, after a crash of the first
		for _, key := range []string{"a", "b\n", "c\x01"} {
			want := backends.Marked
			if r.Now {
				want = backends.Deleted
			}
			revoke(t, b, key, r, want)
			told(t, wakes, key)
		}
	}
}

// TestAHolderInASharedDirectoryIsTold: whoever may change its record may also leave
// it a note.
func TestAHolderInASharedDirectoryIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	a, wakes := subscribed(t, dir, Shared())
	var c claims
	take(t, a, c.request("k"))
	info, err := os.Stat(filepath.Join(dir, a.session.name))
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("others can't leave a note in the session file: %v, %v", info.Mode(), err)
	}
	revoke(t, open(t, dir, Shared()), "k", backends.Revocation{}, backends.Marked)
	told(t, wakes, "k")
}

// TestOnlyWhoHoldsOrWaitsWatches: a session that does neither has no goroutine, and
// one that did goes back to that; also if nobody has released the lease or cancelled.
func TestOnlyWhoHoldsOrWaitsWatches(t *testing.T) {
	dir := t.TempDir()
	a, _ := subscribed(t, dir)
	var c, d claims
	if a.watcher.watching() {
		t.Error("it watches, and has nothing")
	}
	held := c.request("k")
	take(t, a, held)
	other, _ := subscribed(t, dir)
	if reply, err := other.Acquire(t.Context(), d.once("k")); err != nil || reply.Outcome != backends.Held || other.watcher.watching() {
		t.Errorf("beside a holder: %v, watching %t, %v", reply.Outcome, other.watcher.watching(), err)
	}
	if reply, err := other.Acquire(t.Context(), d.request("k")); err != nil || reply.Place != 1 || !other.watcher.watching() {
		t.Errorf("in the queue: %+v, watching %t, %v", reply, other.watcher.watching(), err)
	}
	eventually(t, "waits no more, and no goroutine", func() bool { return !other.watcher.watching() })
	if !a.watcher.watching() {
		t.Error("it holds, and doesn't watch")
	}
	if err := a.Release(t.Context(), held.Attempt); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing held, and no goroutine", func() bool { return !a.watcher.watching() })
	forgotten := c.request("forgotten")
	forgotten.TTL = 10 * time.Millisecond
	take(t, a, forgotten)
	eventually(t, "a lease over, and no goroutine", func() bool { return !a.watcher.watching() })
}

// TestARenewedLeaseIsStillWatched beyond the end that it was granted with.
func TestARenewedLeaseIsStillWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, wakes := subscribed(t, dir)
	var c claims
	r := c.request("k")
	r.TTL = lookEvery
	reply := take(t, a, r)
	if _, err := a.Renew(t.Context(), r.Attempt, time.Minute, reply.Base); err != nil {
		t.Fatal(err)
	}
	if err := a.nap(t.Context(), 3*lookEvery); err != nil { // what has to be outlasted is a time
		t.Fatal(err)
	}
	revoke(t, open(t, dir), "k", backends.Revocation{}, backends.Marked)
	told(t, wakes, "k")
}

// TestNotesAreReadOnce, and those that make no sense wake all keys: one of them may
// have been meant. The session has no lease, so that the test alone looks.
func TestNotesAreReadOnce(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir, elsewhere := filepath.Join(parent, "locks"), filepath.Join(parent, "elsewhere")
	a, wakes := subscribed(t, dir)
	var c claims
	take(t, open(t, dir), c.request("k"))
	take(t, open(t, elsewhere), c.request("not here"))
	whole := recordName("k") + "\n"
	path := filepath.Join(dir, a.session.name)
	for _, tt := range []struct {
		note string
		want []string
	}{
		{whole + whole, []string{"k", "k"}},
		{"", nil},
		{"k\n" + whole, []string{"", "k"}},
		{"../elsewhere/" + recordName("not here") + "\n", []string{""}},
		{recordName("never held") + "\n", []string{""}},
		{whole[:7], nil}, // the rest is on its way
		{whole[7:], []string{"k"}},
		{whole[:7], nil},
		{"\n", []string{""}},
		{strings.Repeat("x", maxNotes), []string{""}},
		{whole + whole, []string{"k", "k"}}, // and it goes on in the emptied file
		{"emptied by hand", nil},
		{whole, []string{"k"}},
	} {
		err := appendTo(path, tt.note)
		if tt.note == "emptied by hand" {
			err = os.Truncate(path, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		a.look()
		var got []string
		for len(wakes) > 0 {
			got = append(got, (<-wakes).Key)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("after %.40q: woken for %q, want %q", tt.note, got, tt.want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 200 {
		t.Errorf("the session file has %d bytes, and was emptied at %d; %v", info.Size(), maxNotes, err)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return firstOf(err, f.Close())
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestNotesAreNotWrittenElsewhere: a session file that somebody has made a link of
// any kind is not written to.
func TestNotesAreNotWrittenElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	var c claims
	take(t, a, c.request("k"))
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	session := filepath.Join(dir, a.session.name)
	for name, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link} {
		if err := firstOf(os.Rename(session, session+".aside"), link(victim, session)); err != nil {
			t.Fatal(err)
		}
		b.tell(a.session.name, recordName("k"))
		if err := firstOf(os.Remove(session), os.Rename(session+".aside", session)); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(victim); err != nil || len(text) > 0 {
			t.Errorf("%s link: wrote %q elsewhere, %v", name, text, err)
		}
	}
}

// TestCloseWaitsForTheWatcher, and no wake comes after it.
func TestCloseWaitsForTheWatcher(t *testing.T) { // not beside others: it looks at the whole process
	dir := t.TempDir()
	for round := range 20 {
		a, _ := subscribed(t, dir)
		var c claims
		take(t, a, c.request(fmt.Sprint(round)))
		revoke(t, a, fmt.Sprint(round), backends.Revocation{}, backends.Marked)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		stacks := make([]byte, 1<<20)
		if all := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(all, ").watch(") {
			t.Fatal("it still watches when Close has returned")
		}
		if err := a.Subscribe(backends.NewSession(), nil); err != backends.ErrClosed {
			t.Errorf("subscribe after close: %v", err)
		}
	}
}

// TestRevokingLeavesNoDescriptors behind: a holder's is open for as long as the note
// takes.
func TestRevokingLeavesNoDescriptors(t *testing.T) { // not beside others: it looks at the whole process
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	a.watcher.deaf = true // an alarm would come in between
	var c claims
	take(t, a, c.request("k"))
	next := func() int {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		return fd
	}
	before := next()
	for range 10 {
		revoke(t, b, "k", backends.Revocation{}, backends.Marked)
	}
	if after := next(); after > before {
		t.Errorf("descriptor %d is free before, %d after", before, after)
	}
}
