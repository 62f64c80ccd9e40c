//go:build linux || darwin

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// The wait for a server that refuses for now is as long as that for a held key, and
// no longer.
func TestRunWaitsForAServerThatRefusesForNow(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t, "--maxclients", "8")
	leave := servertest.Crowd(t, server.Addr, "PING\r\n", "+PONG\r\n")
	code, _, said := on(t, server.URL(), "run", "-w", "2", "k", "--", "true")
	if code != exitUnavailable || !strings.Contains(said, "max number of clients reached; this passes") {
		t.Errorf("exit code %d: %s", code, said)
	}
	r := launch(t, server.URL(), "-v", "run", "-w", "60", "k", "--", "true")
	eventually(t, "a second look at the server", func() bool { return strings.Contains(r.stderr.String(), "waiting for the backend") })
	leave()
	r.exit(t, 0)
}

// A refusal that doesn't pass ends the command at once, with any timeout, and the
// message says what to do.
func TestRunEndsAtOnceWithWhatDoesNotPass(t *testing.T) {
	t.Parallel()
	master, locked := servertest.Redis(t), servertest.Redis(t, "--requirepass", "right")
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := servertest.Redis(t, "--replicaof", host+" "+port)
	inside := master.RedisClient(t, nil)
	if err := inside.LPush(t.Context(), "pylock:list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ backend, key, says string }{
		{replica.URL(), "k", "the server is a replica, which takes no writes: name its master"},
		{locked.URL(), "k", "check the user and password"},
		{master.URL(), "list", "which is no lock of anybody's"},
		{"rediss://" + master.Addr, "k", "doesn't speak TLS on this port"},
	} {
		code, _, said := on(t, row.backend, "run", "-w", "3000", row.key, "--", "true")
		if code != exitUnavailable || !strings.Contains(said, row.says) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s", row.backend, code, said)
		}
	}
	// The replica is no fault of the master: a command run by cron prints nothing
	// about it.
	if code, _, said := on(t, master.URL(), "run", "k", "--", "true"); code != 0 || said != "" {
		t.Errorf("exit code %d: %s", code, said)
	}
	if _, _, said := on(t, master.URL(), "-v", "run", "k", "--", "true"); !strings.Contains(said, "has replicas") {
		t.Errorf("-v says nothing of replicas: %s", said)
	}
}

func TestAForeignKeyWithoutAnEndIsToldByRun(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	if err := server.RedisClient(t, nil).Set(t.Context(), "pylock:str", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, wait := range [][]string{{"-w", "2"}, {"-n"}} {
		args := append(append([]string{"run"}, wait...), "str", "--", "true")
		code, _, said := on(t, server.URL(), args...)
		if code != exitConflict || !strings.Contains(said, "held by another library's client") || !strings.Contains(said, "the key has no end: turnstile release str --force --now deletes it") {
			t.Errorf("%v: exit code %d: %s", wait, code, said)
		}
	}
}

func TestWhatUsesNoBackendWorksWithABadOne(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "--version", "version -o json", "--help", "run --help", "completion bash", "man " + t.TempDir(), "bench --help"} {
		if code, _, said := on(t, "redis//:x@h", strings.Fields(args)...); code != 0 {
			t.Errorf("%s: exit code %d: %s", args, code, said)
		}
	}
}

// Messages about limits use the words of the user who typed the value.
func TestAValueIsNamedByItsFlagOrVariable(t *testing.T) {
	t.Parallel()
	url := servertest.Memcached(t).URL()
	long := strings.Repeat("x", maxPrefix+1)
	for _, row := range []struct{ env, args, says string }{
		{"", "--backend " + url + " run --expires 0.5 k -- true", "turnstile: --expires 500ms: this backend keeps no lease shorter than 1s\n"},
		{"TURNSTILE_EXPIRES=0.5", "--backend " + url + " run k -- true", "turnstile: TURNSTILE_EXPIRES 500ms: this backend keeps no lease shorter than 1s\n"},
		{"TURNSTILE_EXPIRES=0.001", "run k -- true", "turnstile: TURNSTILE_EXPIRES 1ms: 10ms to 24h0m0s\n"},
		{"", "--prefix " + long + " ls", "turnstile: --prefix: at most 256 bytes, none of them NUL\n"},
		{"TURNSTILE_KEY_PREFIX=" + long, "ls", "turnstile: TURNSTILE_KEY_PREFIX: at most 256 bytes, none of them NUL\n"},
		{"TURNSTILE_BACKEND=redis//h", "ls", "turnstile: TURNSTILE_BACKEND is not a URL"},
		{"", "--backend redis//h ls", "turnstile: --backend is not a URL"},
		{"TURNSTILE_TIMEOUT=soon", "run k -- true", "turnstile: TURNSTILE_TIMEOUT: \"soon\" is no duration"},
	} {
		words := strings.Fields(row.args)
		r := launchEnv(t, row.env, words...)
		r.exit(t, exitUsage)
		if said := r.stderr.String(); !strings.HasPrefix(said, row.says) {
			t.Errorf("%s %s: %s", row.env, row.args, said)
		}
	}
}

// A flag wins over the environment, so -n doesn't even read it.
func TestAWaitThatIsNotUsedIsNotRead(t *testing.T) {
	t.Parallel()
	launchEnv(t, "TURNSTILE_TIMEOUT=soon", "run", "-n", "k", "--", "true").exit(t, 0)
	launchEnv(t, "TURNSTILE_TIMEOUT=soon", "run", "-w", "60", "k", "--", "true").exit(t, 0)
}

// Hints depend on the type of the error, not on its words.
func TestHintsGoByType(t *testing.T) {
	t.Parallel()
	odd := func(err error) error { return backends.Unavailable("redis", fmt.Errorf("words: %w", err)) }
	for _, row := range []struct {
		err  error
		want string
	}{
		{odd(syscall.ECONNREFUSED), "is the server running there"},
		{odd(&net.DNSError{Err: "x", IsNotFound: true}), "check the host's name"},
		{odd(syscall.EHOSTUNREACH), "is the server reachable"},
		{odd(os.ErrDeadlineExceeded), "is the port right"},
		{odd(syscall.ENOSPC), "free some space"},
		{odd(&fs.PathError{Op: "mkdir", Err: fs.ErrNotExist}), "whose parent exists"},
		{odd(backends.Loading), "passes by itself"},
		{nil, "is the port right"},
		{odd(errors.New("connection refused")), ""},
		{backends.Refused("redis", "do that", backends.WrongLogin), ""},
	} {
		if got := hint(row.err); (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
			t.Errorf("%v: %q, want %q", row.err, got, row.want)
		}
	}
}
