//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// A severance parts holders from their holds.
type severance struct {
	// setUp returns the backend as the holders reach it, the same as everybody else
	// does, and what cuts a holder off.
	setUp func(t *testing.T) (holders, others string, cut func(t *testing.T, holder *running, key string))
	code  int // of a holder that was cut off
	// grace is what the command gets after TERM. It is short where the hold can't be
	// renewed, so that most of that is left for renewals that a busy machine makes
	// late; and long where nothing but the grace keeps the next one from meeting it.
	grace string
}

const severedExpires = "5s"

var severances = map[string]severance{
	"redis cut off": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			server := servers.Redis(t)
			proxy := servers.NewProxy(t, server.Addr)
			var once sync.Once
			return "redis://" + proxy.Addr + "/0", server.URL(), func(*testing.T, *running, string) { once.Do(proxy.Cut) }
		},
		code: exitLost, grace: "0.5s",
	},
	"file killed": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			backend := fileBackend(t)
			return backend, backend, func(t *testing.T, holder *running, _ string) { holder.signal(t, syscall.SIGKILL) }
		},
		code: -1, grace: "0.5s",
	},
	"redis revoked": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			url := servers.Redis(t).URL()
			return url, url, revokeOn(url)
		},
		code: exitLost, grace: "1.5s",
	},
	"file revoked": {
		setUp: func(t *testing.T) (string, string, func(*testing.T, *running, string)) {
			backend := fileBackend(t)
			return backend, backend, revokeOn(backend)
		},
		code: exitLost, grace: "1.5s",
	},
}

// revokeOn frees keys by force, and does not wait for them to be free.
func revokeOn(backend string) func(*testing.T, *running, string) {
	return func(t *testing.T, _ *running, key string) { launch(t, backend, "release", "--force", "--yes", key) }
}

// The commands ignore what can be ignored, and have children that do. A second
// turnstile waits over a connection of its own, and its command looks for the first
// as soon as it runs.
func TestALeaseDoesNotPassOnWhileTheCommandRuns(t *testing.T) {
	rounds, batch := 10, 10
	if *long {
		rounds = 100
	}
	for name, s := range severances {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for begin := 0; begin < rounds; begin += batch {
				t.Run(fmt.Sprint("from ", begin), func(t *testing.T) { s.pass(t, begin, batch) })
			}
		})
	}
}

// pass cuts n holders off, of a key each.
func (s severance) pass(t *testing.T, begin, n int) {
	holders, others, cut := s.setUp(t)
	// A zombie does not run; an orphan's may wait long for an init that reaps.
	const look = `for pid in $1 $2; do case $(ps -o state= -p $pid) in ''|Z*|X*) ;; *) echo $pid runs ;; esac; done; echo next`
	type round struct{ holder, next *running }
	var all []round
	for i := range n {
		all = append(all, round{holder: launch(t, holders, "run", "--expires", severedExpires, "--kill-after", s.grace, fmt.Sprint("k", begin+i), "--", "sh", "-c", family)})
	}
	for i := range all {
		grandchild, child := all[i].holder.number(t), all[i].holder.number(t)
		all[i].next = launch(t, others, "run", "-v", fmt.Sprint("k", begin+i), "--", "sh", "-c", look, "sh", fmt.Sprint(child), fmt.Sprint(grandchild))
	}
	for _, r := range all {
		eventually(t, "the next one waits", func() bool { return strings.Contains(r.next.stderr.String(), "held by") })
		if said := r.holder.stderr.String(); said != "" {
			t.Fatalf("the hold was lost before it was cut off: %s", said)
		}
	}
	for i, r := range all {
		cut(t, r.holder, fmt.Sprint("k", begin+i))
	}
	for i, r := range all {
		if got := r.next.line(t); got != "next" {
			t.Errorf("round %d: the lease passed on: %s", begin+i, got)
		}
		r.next.exit(t, 0)
		r.holder.exit(t, s.code)
	}
}

// What a KILL of turnstile leaves has to be gone soon, children and all. Where other
// tests run beside, one round may be held up by them; on an idle machine, none may.
func TestNothingOfAKilledTurnstileIsLeftAfterASecond(t *testing.T) {
	backend := fileBackend(t)
	var took []time.Duration
	for range 20 {
		holder := launch(t, backend, "run", "k", "--", "sh", "-c", family)
		grandchild, child := holder.number(t), holder.number(t)
		begin := time.Now()
		holder.signal(t, syscall.SIGKILL)
		eventually(t, "child and grandchild are gone", func() bool { return !runs(child) && !runs(grandchild) })
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("gone after %v (median), %v (worst of %d)", took[len(took)/2], took[len(took)-1], len(took))
	worst := took[len(took)*9/10]
	if *long {
		worst = took[len(took)-1]
	}
	if worst > time.Second {
		t.Errorf("gone after %v, want at most 1 s", worst)
	}
}

// shift runs commands in a row, each with a number and an exit code of its own.
const shift = `
i=0
while [ $i -lt $2 ]; do
	n=$(($1 * $2 + i)); want=$((n % 256))
	turnstile run k -- sh -c 'echo $0 >>"$1"; exit $2' $n "$3" $want
	got=$?
	[ $got = $want ] || echo "command $n: exit code $got, want $want"
	i=$((i + 1))
done`

// It runs beside no other test, whose processes it would take for what is left.
func TestCommandsInARowRunOnceEachAndLeaveNothing(t *testing.T) {
	const shells = 8
	each := 10
	if *long {
		each = 125
	}
	dir, log := filepath.Join(t.TempDir(), "locks"), filepath.Join(t.TempDir(), "log")
	mark := "TURNSTILE_TEST=" + log
	before := zombies(t)
	var wg sync.WaitGroup
	for i := range shells {
		wg.Go(func() {
			cmd := exec.Command("sh", "-c", shift, "sh", strconv.Itoa(i), strconv.Itoa(each), log)
			cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND=file://"+dir, mark)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, n := range strings.Fields(string(text)) {
		times[n]++
	}
	for i := range shells * each {
		if n := times[strconv.Itoa(i)]; n != 1 {
			t.Errorf("command %d ran %d times", i, n)
		}
	}
	// A key's record stays a while for its fence. Sessions end with their processes.
	left, err := filepath.Glob(filepath.Join(dir, "s-*"))
	if records, _ := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 || len(records) != 1 {
		t.Errorf("left behind: %v, %v", records, err)
	}
	free := launch(t, "file://"+dir, "run", "-n", "k", "--", "true")
	free.exit(t, 0)
	for _, line := range allProcesses(t) {
		if strings.Contains(line, mark) {
			t.Errorf("left running: %s", line)
		}
	}
	if after := zombies(t); len(after) > len(before) {
		t.Errorf("zombies are left: %v, before %v", after, before)
	}
}

// zombies are the turnstiles and guards that nobody has reaped.
func zombies(t *testing.T) (lines []string) {
	t.Helper()
	for _, line := range allProcesses(t) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], "Z") && strings.Contains(line, "turnstile") {
			lines = append(lines, line)
		}
	}
	return lines
}

// allProcesses are all processes, with their environment.
func allProcesses(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("ps", "eww", "-A", "-o", "pid=,stat=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(out)))
}

// Whatever it is given, the command has: no copying, no buffers of ours.
func TestStandardStreamsAreTheCommands(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	run := func(shell string, in []byte) ([]byte, error) {
		cmd := exec.Command("sh", "-c", shell)
		cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
		if in != nil {
			cmd.Stdin = bytes.NewReader(in)
		}
		return cmd.Output()
	}
	binary := make([]byte, 8<<20) // more than a pipe holds
	for i := range binary {
		binary[i] = byte(i * i >> 8)
	}
	if out, err := run("turnstile run k -- cat | cat", binary); err != nil || !bytes.Equal(out, binary) {
		t.Errorf("a big pipe: %d of %d bytes, or others, %v", len(out), len(binary), err)
	}
	if out, err := run("turnstile run k -- sh -c 'cat; echo end' <&-", nil); err != nil || string(out) != "end\n" {
		t.Errorf("a closed stdin: %q, %v", out, err)
	}
	if out, err := run("turnstile run k -- sh -c 'exit 3' >&- 2>&-", nil); exitCodeOf(err) != 3 {
		t.Errorf("closed outputs: %q, %v", out, err)
	}
	// Whoever reads goes away: the command is told, as without turnstile.
	if out, err := run("{ turnstile run k -- yes; echo $? >&2; } 2>&1 >/dev/full | head -n 1 >/dev/null; turnstile run k -- yes | head -n 1", nil); err != nil || string(out) != "y\n" {
		t.Errorf("a reader that leaves: %q, %v", out, err)
	}
}

func exitCodeOf(err error) int {
	var status *exec.ExitError
	if errors.As(err, &status) {
		return status.ExitCode()
	}
	return 0
}

// A start costs what a shell script does not notice. The number is in the log; the
// bound is for a machine that runs the tests of other packages beside, where the
// bare command, too, takes many times as long.
func TestARunStartsInNoTimeAndTheBinaryIsSmall(t *testing.T) {
	name := filepath.Join(t.TempDir(), "turnstile")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", name, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(name); err != nil || info.Size() >= 30_000_000 {
		t.Errorf("the stripped binary: %v bytes, want under 30 MB (%v)", info.Size(), err)
	} else {
		t.Logf("the stripped binary: %.1f MB", float64(info.Size())/1e6)
	}
	backend := fileBackend(t)
	median := func(args ...string) time.Duration {
		var took []time.Duration
		for range 15 {
			begin := time.Now()
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	bare, locked := median("true"), median(name, "--backend", backend, "run", "k", "--", "true")
	t.Logf("true: %v; under turnstile: %v", bare, locked)
	if more := locked - bare; more > max(250*time.Millisecond, 15*bare) {
		t.Errorf("turnstile adds %v to a command, median", more)
	}
}
