package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// reply is an error as the server sent it.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// at7 and at6 put an error into a script, in the words of Redis 7 and 6.2.
func at7(text string) reply {
	return reply(text + " script: " + scripts.Acquire.SHA() + ", on @user_script:150.")
}

func at6(text string) reply {
	return reply("ERR Error running script (call to f_" + scripts.Acquire.SHA() + "): @user_script:150: @user_script: 150: " + text)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		notRun  = backends.NotRun
		mayHave = backends.MayHaveRun
	)
	refusedDial := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, row := range []struct {
		name    string
		err     error
		written bool
		outcome backends.Outcome
		refused bool
		says    string
	}{
		// Nothing was written: it did not run, whatever it was.
		{"dial refused", refusedDial, false, notRun, false, "connection refused"},
		{"no connection free", goredis.ErrPoolTimeout, false, notRun, false, "pool timeout"},
		{"ended while waiting for a connection", context.DeadlineExceeded, false, notRun, false, "deadline"},
		{"end of stream at the login", io.EOF, false, notRun, false, "EOF"},
		{"login: wrong password", reply("WRONGPASS invalid username-password pair or user is disabled."), false, notRun, true, "user and password"},
		{"login: no such database", reply("ERR DB index is out of range"), false, notRun, true, "database"},
		{"login: still loading", reply("LOADING Redis is loading the dataset in memory"), false, notRun, false, "LOADING"},
		{"login: another kind of server", errors.New(`redis: can't parse map reply: "ERROR"`), false, notRun, true, "memcache://"},
		{"login: a proxy's words", reply("ERR no upstream"), false, notRun, false, "no upstream"},
		{"client closed", goredis.ErrClosed, false, notRun, false, "closed"},

		// It was written, and no answer came.
		{"end of stream", io.EOF, true, mayHave, false, "EOF"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, true, mayHave, false, "reset"},
		{"write failed half way", &net.OpError{Op: "write", Err: syscall.EPIPE}, true, mayHave, false, "pipe"},
		{"timeout", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true, mayHave, false, "timeout"},
		{"a reply no script gives", goredis.Nil, true, mayHave, false, "makes no sense"},
		{"a reply that can't be parsed", errors.New("redis: can't parse reply"), true, mayHave, false, "parse"},
		{"closed under way", goredis.ErrClosed, true, mayHave, false, "closed"},
		// A dial error of a redirected second try says nothing of the first.
		{"dial refused after a write", refusedDial, true, mayHave, false, "connection refused"},

		// The server refused for now, at the door or at the script's first write.
		{"loading", reply("LOADING Redis is loading the dataset in memory"), true, notRun, false, "LOADING"},
		{"replica without its master", reply("MASTERDOWN Link with MASTER is down"), true, notRun, false, "MASTERDOWN"},
		{"slot on its way", reply("TRYAGAIN Multiple keys request during rehashing of slot"), true, notRun, false, "TRYAGAIN"},
		{"cluster down", reply("CLUSTERDOWN The cluster is down"), true, notRun, false, "CLUSTERDOWN"},
		{"out of memory", at7("OOM command not allowed when used memory > 'maxmemory'."), true, notRun, false, "OOM"},
		{"out of memory in 6.2", at6("-OOM command not allowed when used memory > 'maxmemory'."), true, notRun, false, "OOM"},
		{"too few replicas", at7("NOREPLICAS Not enough good replicas to write."), true, notRun, false, "NOREPLICAS"},
		{"disk full", at7("MISCONF Redis is configured to save RDB snapshots"), true, notRun, false, "MISCONF"},
		{"busy", reply("BUSY Redis is busy running a script."), true, notRun, false, "BUSY"},
		{"too many clients", reply("ERR max number of clients reached"), true, notRun, false, "max number"},

		// The server broke the script off, for now.
		{"a key of a slot on its way", at7("ERR Script attempted to access a non local key in a cluster node"), true, mayHave, false, "non local key"},
		{"a key of a slot on its way in 6.2", at6("Lua script attempted to access a non local key in a cluster node"), true, mayHave, false, "non local key"},
		{"a cluster that only reads", at7("ERR Script attempted to execute a write command while the cluster is down and readonly"), true, mayHave, false, "cluster is down"},

		// The server refused, and will again.
		{"replica", reply("READONLY You can't write against a read only replica."), true, notRun, true, "name its master"},
		{"replica, in the script", at7("READONLY You can't write against a read only replica."), true, notRun, true, "name its master"},
		{"replica, in the script of 6.2", at6("-READONLY You can't write against a read only replica."), true, notRun, true, "name its master"},
		{"no password given", reply("NOAUTH Authentication required."), true, notRun, true, "user and password"},
		{"no password given, and a long request", reply("ERR Protocol error: unauthenticated multibulk length"), true, notRun, true, "user and password"},
		{"protected mode", reply("DENIED Redis is running in protected mode"), true, notRun, true, "protected mode"},
		{"a cluster's node", reply("MOVED 3999 127.0.0.1:6381"), true, notRun, true, "Cluster"},
		{"a key not granted", reply("NOPERM this user has no permissions to access one of the keys used as arguments"), true, notRun, true, "~{pylock:a}:turnstile*"},
		{"login: select not granted", reply("NOPERM this user has no permissions to run the 'select' command"), false, notRun, true, "+select"},
		{"login: setname not granted", reply("NOPERM this user has no permissions to run the 'client|setname' command"), false, notRun, true, "+client|setname"},
		{"scan not granted", reply("NOPERM this user has no permissions to run the 'scan' command"), true, notRun, true, "+scan"},
		{"scan not granted in 6.2", reply("NOPERM this user has no permissions to run the 'scan' command or its subcommand"), true, notRun, true, "+scan"},
		{"evalsha not granted", reply("NOPERM this user has no permissions to run the 'evalsha' command"), true, notRun, true, "+evalsha"},
		{"a script's command not granted", at7("ERR The user executing the script can't run this command or subcommand"), true, mayHave, true, "+hset"},
		{"a script's key not granted in 7.0", at7("ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"), true, mayHave, true, "~pylock:a"},
		{"a script's command not granted in 7.4", at7("ERR ACL failure in script: User u has no permissions to run the 'hset' command"), true, mayHave, true, "+hset"},
		{"wrong type", at7("WRONGTYPE Operation against a key holding the wrong kind of value"), true, mayHave, true, "pylock:a"},
		{"wrong type in 6.2", at6("WRONGTYPE Operation against a key holding the wrong kind of value"), true, mayHave, true, "pylock:a"},
		{"no scripts here", reply("ERR unknown command 'EVALSHA', with args beginning with: 'secret'"), true, notRun, true, "Redis 6.2"},
		{"the script fails", at7("ERR user_script:150: attempt to index a nil value"), true, mayHave, true, "acquire script failed"},
		{"the script fails in 6.2", at6("attempt to index a nil value"), true, mayHave, true, "acquire script failed"},
		{"the script can't be compiled", reply("ERR Error compiling script (new function): user_script:1: unexpected symbol"), true, mayHave, true, "script failed"},

		// What is not known may be anything.
		{"a proxy's words", reply("ERR server closed connection"), true, mayHave, false, "server closed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := &Backend{log: slog.New(slog.DiscardHandler), topology: &topology{}}
			f := b.judge(t.Context(), scripts.Acquire, "pylock:a", fmt.Errorf("wrapped: %w", row.err), row.written)
			if f.outcome != row.outcome || backends.IsRefused(f.err) != row.refused {
				t.Errorf("%q, refused %v; want %q, %v (%v)", f.outcome, backends.IsRefused(f.err), row.outcome, row.refused, f.err)
			}
			if !errors.Is(f.err, backends.ErrUnavailable) || !strings.Contains(f.err.Error(), row.says) {
				t.Errorf("%v: want ErrUnavailable that says %q", f.err, row.says)
			}
			var raw goredis.Error
			if errors.As(f.err, &raw) || errors.Is(f.err, goredis.ErrPoolTimeout) || errors.Is(f.err, goredis.Nil) {
				t.Errorf("%v carries the driver's or the server's own error", f.err)
			}
			if strings.Contains(f.err.Error(), "secret") {
				t.Errorf("%v repeats the request", f.err)
			}
		})
	}
}

func TestAConnectionsDeadlineIsTheContexts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	b := &Backend{topology: &topology{}}
	f := b.judge(ctx, scripts.Acquire, "k", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true)
	if f.outcome != backends.MayHaveRun || !errors.Is(f.err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", f.outcome, f.err)
	}
}

// The advice to grant commands is only good if it is complete.
func TestTheGrantsCoverTheScripts(t *testing.T) {
	t.Parallel()
	called := regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`)
	for _, s := range append(append(scripts.Mutex(), scripts.Shares()...), scripts.Fast) {
		for _, m := range called.FindAllStringSubmatch(s.Source(), -1) {
			if c := "+" + strings.ToLower(m[1]) + " "; !strings.Contains(grants+" ", c) {
				t.Errorf("%s calls %s, which the advice leaves out", s.Name, m[1])
			}
		}
	}
}
