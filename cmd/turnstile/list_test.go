package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/lockclient"
)

// on runs turnstile with a backend and nobody at a terminal.
func on(t *testing.T, backend string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, "turnstile", args...)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
	cmd.Stdout, cmd.Stderr = &out, &words
	_ = cmd.Run() // the exit code tells
	return cmd.ProcessState.ExitCode(), out.String(), words.String()
}

// A client of another library has a key: what it can't tell is a dash, and the fence
// that the companion remembers is of somebody else's hold.
func TestAForeignHolderIsListedWithoutWhatItHasNot(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	defer client.Close()
	if code, _, said := on(t, server.URL(), "run", "mortal", "true"); code != 0 {
		t.Fatal(said)
	}
	if err := client.Set(t.Context(), "pylock:endless", "somebody", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "pylock:mortal", "somebody", 9*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	code, out, said := on(t, server.URL(), "ls")
	if rows := regexp.MustCompile(`(?m)^(endless|mortal) +- +- +- +(-|[0-9](\.\d+)?s|\d+ms) +0 +exclusive +foreign$`).FindAllString(out, -1); code != 0 || len(rows) != 2 {
		t.Errorf("%d, %s%s", code, out, said)
	}

	// One that ends is waited for; one that does not is left alone, unless it is --now.
	code, out, said = on(t, server.URL(), "release", "mortal", "--force", "--yes")
	if code != exitLost || out != "" || !strings.Contains(said, "mortal is free, since its lease ran out after ") || !strings.Contains(said, "can't be told to stop: its key ends in ") {
		t.Errorf("mortal: %d, %s%s", code, out, said)
	}
	code, out, said = on(t, server.URL(), "release", "endless", "--force", "--yes")
	if code != exitConflict || out != "" || !strings.Contains(said, "whose key has no end: --now deletes it") {
		t.Errorf("endless: %d, %s%s", code, out, said)
	}
	if left := client.Exists(t.Context(), "pylock:endless").Val(); left != 1 {
		t.Error("endless: it is gone all the same")
	}
	code, out, said = on(t, server.URL(), "release", "endless", "--force", "--yes", "--now")
	if code != 0 || !strings.Contains(out, "endless was deleted") {
		t.Errorf("endless, now: %d, %s%s", code, out, said)
	}
	if left := client.Exists(t.Context(), "pylock:endless").Val(); left != 0 {
		t.Error("endless: it is still there")
	}
}

func TestMemcachedCannotListAndSaysWhatCanBeAsked(t *testing.T) {
	t.Parallel()
	url := servertest.Memcached(t).URL()
	code, out, said := on(t, url, "ls")
	if code != exitUsage || out != "" || strings.Count(said, "\n") != 1 || !strings.Contains(said, "turnstile show KEY") {
		t.Errorf("ls: %d, %s%s", code, out, said)
	}
	code, out, said = on(t, url, "run", "k", "--", "turnstile", "show", "k")
	if code != 0 || !regexp.MustCompile(`(?m)^holder: +\S+:\d+ turnstile$`).MatchString(out) || !regexp.MustCompile(`(?m)^waiting: +-$`).MatchString(out) {
		t.Errorf("show: %d, %s%s", code, out, said)
	}
	code, out, said = on(t, url, "show", "k", "-o", "json")
	if code != 0 || strings.Contains(out, "waiting") || strings.Contains(out, "expires") {
		t.Errorf("show: %d, %s%s; what it can't tell is absent", code, out, said)
	}
}

// Servers that take one for another, and logins: one line each, and no password.
func TestAWrongServerIsToldFromOneThatIsAway(t *testing.T) {
	t.Parallel()
	redis, guarded, memcached := servertest.Redis(t), servertest.Redis(t, "--requirepass", "right"), servertest.Memcached(t)
	for backend, says := range map[string]string{
		"redis://" + memcached.Addr:                          "is no Redis server",
		"redis+cluster://" + memcached.Addr:                  "is no Redis server",
		"memcache://" + redis.Addr:                           "use redis:// in place of memcache://",
		"memcache://" + guarded.Addr:                         "use redis:// in place of memcache://",
		"redis+sentinel://" + redis.Addr + "/?master_name=m": "is no Sentinel",
		"redis+cluster://" + redis.Addr:                      "use redis:// in place of redis+cluster://",
		"redis://:wr0ng@" + guarded.Addr:                     "check the user and password",
		"redis://" + guarded.Addr:                            "check the user and password",
		"redis://" + redis.Addr + "/4711":                    "no such database",
	} {
		code, out, said := on(t, backend, "run", "-w", "30", "k", "true")
		if code != exitUnavailable || out != "" || strings.Count(said, "\n") != 1 || !strings.Contains(said, says) || strings.Contains(said, "wr0ng") || strings.Count(said, "turnstile:") != 1 {
			t.Errorf("%s: %d, %s; want 69 and one line with %q", mask(backend), code, said, says)
		}
	}
}

func TestNamesOfOthersAreSafeInATable(t *testing.T) {
	for name, want := range map[string]string{
		"k": "k", "a/b:c": "a/b:c", "ünï": "ünï", "": `""`, "-": `"-"`, "a b": `"a b"`, `a"b`: `"a\"b"`,
		"a\tb": `"a\tb"`, "\x1b]0;x\a": `"\x1b]0;x\a"`, "\xff": `"\xff"`, "a\u202eb": `"a\u202eb"`, "\u200b": `"\u200b"`, "\u009b2J": `"\u009b2J"`,
	} {
		if got := printable(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	for label, want := range map[string]string{"h:1 a.sh": "h:1 a.sh", "a  b": `"a  b"`, " a": `" a"`, "a ": `"a "`, "a - b": `"a - b"`, "a\tb c": `"a\tb c"`} {
		if got := cell(label); got != want {
			t.Errorf("label %q: %s, want %s", label, got, want)
		}
	}
	evil := "a\x1b[2J\n"
	i := lockclient.Info{Key: evil, Held: true, Holder: &evil}
	if s := portrait(i) + sketch(i) + new(plan).late(&lockclient.WaitError{Key: evil, Holder: evil, HeldFor: 1}); strings.Contains(s, "\x1b") || strings.Contains(s, "J\n") {
		t.Errorf("%q reaches the terminal", s)
	}
}
