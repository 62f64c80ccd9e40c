package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slips are URLs with a password and a typing mistake; %s is the password.
var slips = []string{
	"redis://:%s@127.0.0.1:1", "redis://u:%s@127.0.0.1:1/0", "redis://u:%s@127.0.0.1:1/0?lazy=1",
	"redis//:%s@h", "//u:%s@h", "u/%s@h", "redis:%s@h", "redis:/u:%s@h", "redis:///u:%s@h", "redis:////u:%s@h",
	"redis;//u:%s@h", "redis :// u:%s@h", " redis://u:%s@127.0.0.1:1", "redis:\\\\u:%s@h", "u:%s@h", "u:%s@h:6379/0", "%s@h",
	"u:%s@redis://h", "rdis://u:%s@h", "re dis://u:%s@h", "://u:%s@h", ":u:%s@h", "memcache:u:%s@h", "memcache://u:%s@h",
	"file://u:%s@h/d", "file:u:%s@h", "rediss:/u:%s@h", "redis+sentinel:u:%s@h", "redis+sentinel://u:%s@127.0.0.1:1?master_name=m",
	"redis+cluster://u:%s@127.0.0.1:1", "redis://127.0.0.1:1,u:%s@127.0.0.1:2", "redis://h/u:%s@h2", "redis://h?u:%s@h2", "redis://h#u:%s@h2",
	"redis://u%%3A%s@h:x", "redis://h?addr=u%%3A%s%%40h2:1", "redis://u:%s%%40h", "unix:u:%s@/s", "unix://u:%s@/none/s", "redis://u/%s", "redis://127.0.0.1:1/%s/0", "memcache://h/%s", "file://u/%s", "redis+cluster://h/%s", "embedded://u:%s@h", "postgres://u:%s@h",
}

// printers are the commands that print something.
var printers = []string{
	"-v run -w 0.01 k -- true", "version", "version -o json", "--help", "run --help", "bench --help", "completion bash", "man", "bench --strategies none",
}

// lookers wait for a server for as long as Open does, and so see few of the slips.
var lookers = []string{"-v ls", "ls -o json", "show k -o json", "release k --force --yes", "__complete show k"}

// said is all that a command prints.
func said(command string) string {
	var out, err bytes.Buffer
	start(append([]string{"turnstile"}, strings.Fields(command)...), &out, &err)
	return out.String() + err.String()
}

func TestNoSlipInABackendShowsThePassword(t *testing.T) {
	const secret = "hunter2secret"
	for i, slip := range slips {
		t.Setenv("TURNSTILE_BACKEND", fmt.Sprintf(slip, secret))
		all := printers
		if i == 0 || !strings.Contains(slip, "://") {
			all = slices.Concat(printers, lookers)
		}
		for _, command := range all {
			if s := said(command); strings.Contains(s, secret) {
				t.Errorf("%s with %s: %s", command, slip, s)
			}
		}
	}
	for _, addr := range []string{"u:" + secret + "@h", "u:" + secret + "@h:1", secret + "@h:1", "redis://u:" + secret + "@h"} {
		for _, flag := range []string{"--redis", "--memcached"} {
			if s := said("bench " + flag + " " + addr); strings.Contains(s, secret) {
				t.Errorf("bench %s %s: %s", flag, addr, s)
			}
		}
	}
}

// A message still names what tells one place from another.
func TestAPlaceIsShown(t *testing.T) {
	for backend, want := range map[string]string{
		"redis://u:x@h:1/12?lazy=1": "redis://xxxxx@h:1/12", "redis://h": "redis://h", "redis://h/": "redis://h/",
		"redis://h/x": "redis://h/…", "unix:///run/redis.sock": "unix:///run/redis.sock", "file:///d/e": "file:///d/e",
		"redis+sentinel://a:1,b:2/0": "redis+sentinel://a:1,b:2/0", "memcache://a:1,b:2": "memcache://a:1,b:2",
	} {
		if got := display(backend); got != want {
			t.Errorf("%s is shown as %s, want %s", backend, got, want)
		}
	}
}

// FuzzBackendsNeverShowPasswords puts passwords of any characters behind a user that
// somebody may have meant.
func FuzzBackendsNeverShowPasswords(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(passwordsAreNeverShown))
}

func TestPasswordsAreNeverShown(t *testing.T) { rapid.Check(t, passwordsAreNeverShown) }

func passwordsAreNeverShown(t *rapid.T) {
	const secret = "hunter2secret" // it occurs in no other text
	odd := rapid.StringOfN(rapid.SampledFrom([]rune("aZ0/:?#@&=%+;,'\"<>[] \\$!*()~^`{}|ä-._")), 0, 4, -1)
	front := rapid.SampledFrom([]string{"redis", "rediss", "memcache", "redis+sentinel", "unix", "file", "x", ""}).Draw(t, "scheme") +
		rapid.SampledFrom([]string{"://", "//", ":/", ":", "/", ":///", ";//", "", " "}).Draw(t, "separator") +
		rapid.SampledFrom([]string{"u:", ":", "u/", "", "u%3A"}).Draw(t, "user")
	backend := front + odd.Draw(t, "before") + secret + odd.Draw(t, "after") + "@" +
		rapid.SampledFrom([]string{"127.0.0.1:1", "h", "", "h/0", "[::1]:1", "h?lazy=true"}).Draw(t, "host")
	if strings.HasPrefix(backend, "file:///") {
		return // a directory, with any name
	}
	if s := display(backend); strings.Contains(s, secret) {
		t.Errorf("%q is shown as %q", backend, s)
	}
	var said string
	if err := checkBackend("--backend", backend); err != nil {
		said = oneLine(err)
	} else if _, _, err := fileDir(backend); err != nil {
		said = oneLine(err)
	}
	if strings.Contains(said, secret) {
		t.Errorf("%q: %s", backend, said)
	}
}
