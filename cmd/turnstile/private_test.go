//go:build linux || darwin

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A service with PrivateTmp=yes sees this, between other mounts.
const ofAService = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /var ro - tmpfs tmpfs rw
611 40 254:0 /var/tmp/systemd-private-6c1a-backup.service-Xq3/tmp /var/tmp rw,relatime shared:9 - ext4 /dev/vda rw
612 22 254:0 /tmp/systemd-private-6c1a-backup.service-Zz1/tmp /tmp rw - ext4 /dev/vda rw
613 611 254:0 /srv/locks /var/tmp/shared rw - ext4 /dev/vda rw
614 22 254:0 /tmp/systemd-private-6c1a-backup.service-Zz1/tmp/a\040b /srv/a\040b rw - ext4 /dev/vda rw
`

func TestWhatIsPrivateToAService(t *testing.T) {
	t.Parallel()
	// A mount that was moved into another may be listed before it.
	lines := slices.Collect(strings.Lines(ofAService))
	slices.Reverse(lines)
	reversed := strings.Join(lines, "")
	for dir, want := range map[string]string{
		"/var/tmp/turnstile-0":      "/var/tmp",
		"/var/tmp":                  "/var/tmp",
		"/tmp/locks":                "/tmp",
		"/srv/a b/locks":            "/srv/a b",
		"/var/tmp/shared/locks":     "", // bound into the private one from outside
		"/var/tmpfiles/turnstile-0": "",
		"/srv/locks":                "",
	} {
		if got := privateMount(ofAService, dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
		if got := privateMount(reversed, dir); got != want {
			t.Errorf("%s, in reverse order: %q, want %q", dir, got, want)
		}
	}
	// The private mount is covered by a public one; and a shell's view.
	if got := privateMount(ofAService+"700 611 254:0 /var/tmp /var/tmp rw - ext4 /dev/vda rw\n", "/var/tmp/x"); got != "" {
		t.Errorf("covered: %q", got)
	}
	if got := privateMount("22 1 254:0 / / rw - ext4 /dev/vda rw\n\nnonsense\n", "/var/tmp/x"); got != "" {
		t.Errorf("a shell: %q", got)
	}
}

// TestAPrivateDirectoryIsSaidAtOnce by every command that opens one, with what to do.
func TestAPrivateDirectoryIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "locks")
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	mounts := filepath.Join(t.TempDir(), "mountinfo")
	text := "22 1 0:1 / / rw - ext4 x rw\n23 22 0:1 /var/tmp/systemd-private-1-a.service-b/tmp " + strings.ReplaceAll(parent, " ", `\040`) + " rw - ext4 x rw\n"
	if err := os.WriteFile(mounts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{backend: "file://" + dir, mounts: mounts}
	for name, open := range map[string]func(s settings) error{
		"run": func(s settings) error {
			client, _, err := s.connect(t.Context(), 0, "")
			if err == nil {
				err = client.Close()
			}
			return err
		},
		"ls":      func(s settings) error { return closed(s.look()) },
		"release": func(s settings) error { return closed(s.visit()) },
	} {
		var out strings.Builder
		s.log = newLogger(&out, slog.LevelWarn)
		if err := open(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := strings.Count(out.String(), parent+" is private to this service"); n != 1 || !strings.Contains(out.String(), "--backend file:///DIR") {
			t.Errorf("%s says %q", name, out.String())
		}
	}
}
