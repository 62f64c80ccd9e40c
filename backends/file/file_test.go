//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/backendtest"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// longEnough bounds the waits of a test: only a defect outlasts it.
const longEnough = 40 * time.Second

// TestMain doubles as the other process of the tests that need one: see
// process_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	testmain.Prepare(16)
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/locks"
	backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, dir) })
}

func open(t testing.TB, dir string, opts ...Option) *Backend {
	t.Helper()
	b, err := Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// claims numbers the attempts of one session.
type claims struct {
	session backends.Session
	n       uint64
}

func (c *claims) request(key string) backends.Request {
	if c.session == "" {
		c.session = backends.NewSession()
	}
	c.n++
	return backends.Request{
		Attempt: backends.Attempt{Key: key, Token: c.session.Token(c.n)}, TTL: time.Minute, Label: "test", Queue: true,
	}
}

func take(t testing.TB, b *Backend, r backends.Request) backends.Reply {
	t.Helper()
	reply, err := b.Acquire(context.Background(), r)
	if err != nil || reply.Outcome != backends.Granted {
		t.Fatalf("acquire: %v, %v", reply.Outcome, err)
	}
	return reply
}

func TestSharedDirectoriesPassTheSuiteToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o1777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, dir, Shared()) })
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range names {
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o666 {
			t.Errorf("%s has mode %v, and others can't use it", entry.Name(), info.Mode())
		}
	}
}

func TestMissingDirectoriesAreMadePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "locks")
	open(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestUnfitDirectories needs no other user: the rule is a function of owner
// and mode.
func TestUnfitDirectories(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		owner  int
		mode   uint32
		strict bool // fit without Shared
		shared bool // fit with it
	}{
		{"private", 1000, 0o700, true, true},
		{"readable", 1000, 0o755, true, true},
		{"another user's", 1001, 0o700, false, false},
		{"another user's for all", 1001, 0o1777, false, false},
		{"root's", 0, 0o755, false, true},
		{"root's for a group", 0, 0o2770, false, true},
		{"root's for all, sticky", 0, 0o1777, false, true},
		{"root's for all", 0, 0o777, false, false},
		{"own, for a group", 1000, 0o770, false, true},
		{"own, for all, sticky", 1000, 0o1777, false, true},
		{"own, for all", 1000, 0o777, false, false},
	} {
		if fault := unfit(tt.owner, 1000, tt.mode, false); (fault == "") != tt.strict {
			t.Errorf("%s: %q", tt.name, fault)
		}
		if fault := unfit(tt.owner, 1000, tt.mode, true); (fault == "") != tt.shared {
			t.Errorf("%s, shared: %q", tt.name, fault)
		}
	}
}

func TestLinksAndOpenDirectoriesAreRefused(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	real, link, file, loose := parent+"/real", parent+"/link", parent+"/file", parent+"/loose"
	if err := errors.Join(os.Mkdir(real, 0o700), os.Symlink(real, link), os.WriteFile(file, nil, 0o600),
		os.Mkdir(loose, 0o700), os.Chmod(loose, 0o777)); err != nil {
		t.Fatal(err)
	}
	for dir, says := range map[string]string{
		link: "is a link", link + "/": "is a link", file: "is no directory", loose: "writable by others", parent + "/no/parent": "no such file",
	} {
		b, err := Open(dir)
		if err == nil {
			b.Close()
			t.Errorf("%s was opened", dir)
			continue
		}
		named := strings.Contains(err.Error(), strings.TrimSuffix(dir, "/"))
		if !errors.Is(err, backends.ErrUnavailable) || !named || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Open(""); !errors.Is(err, backends.ErrInvalid) {
		t.Errorf("no directory: %v", err)
	}
	names, err := os.ReadDir(real)
	if err != nil || len(names) != 0 {
		t.Errorf("something was put behind the link: %v, %v", names, err)
	}
}

// TestForeignOwnersAreRefused looks at a directory through the eyes of
// another user, which needs no privilege.
func TestForeignOwnersAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDirectory(dir, options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.file.Close()
	if err := d.verify(os.Geteuid() + 1); !backends.IsRefused(err) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

// TestLinksInTheDirectoryAreNotFollowed: whoever can write to a shared
// directory must not have us write elsewhere.
func TestLinksInTheDirectoryAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	b := open(t, dir)
	var c claims
	for name, plant := range map[string]func(from, to string) error{"symbolic": os.Symlink, "hard": os.Link} {
		if err := errors.Join(os.WriteFile(victim, nil, 0o600), plant(victim, filepath.Join(dir, recordName(name)))); err != nil {
			t.Fatal(err)
		}
		reply, err := b.Acquire(t.Context(), c.request(name))
		if reply.Outcome != backends.NotRun || !backends.IsRefused(err) {
			t.Errorf("%s link: %v, %v", name, reply.Outcome, err)
		}
		if name == "hard" && !strings.Contains(err.Error(), "hard link") {
			t.Errorf("its error speaks of something else: %v", err)
		}
		if data, err := os.ReadFile(victim); err != nil || len(data) != 0 {
			t.Errorf("%s link: the file behind it was written to", name)
		}
	}
}

func TestAFullDiskOrAMissingPermissionChangesNothing(t *testing.T) {
	t.Parallel()
	for errno, refused := range map[unix.Errno]bool{unix.ENOSPC: false, unix.EMFILE: false, unix.EDQUOT: false, unix.EROFS: true, unix.EACCES: true, unix.EISDIR: true, unix.EFBIG: true} {
		err := failed("write", "/the/path", errno)
		if backends.IsRefused(err) != refused || !errors.Is(err, backends.ErrUnavailable) || !errors.Is(err, errno) || !strings.Contains(err.Error(), "/the/path") {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestListNamesTheKeysThatAreHeld(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	var c claims
	for _, key := range []string{"b", "a", "free"} {
		r := c.request(key)
		take(t, b, r)
		if key == "free" {
			if err := b.Release(t.Context(), r.Attempt); err != nil {
				t.Fatal(err)
			}
		}
	}
	for prefix, want := range map[string]string{"": "a,b", "b": "b", "c": ""} {
		keys, err := b.List(t.Context(), prefix)
		if err != nil || strings.Join(keys, ",") != want {
			t.Errorf("with prefix %q: %q, %v", prefix, keys, err)
		}
	}
}

func BenchmarkFreeKey(b *testing.B) {
	backend := open(b, b.TempDir())
	var c claims
	for b.Loop() {
		r := c.request("k")
		take(b, backend, r)
		if err := backend.Release(b.Context(), r.Attempt); err != nil {
			b.Fatal(err)
		}
	}
}
