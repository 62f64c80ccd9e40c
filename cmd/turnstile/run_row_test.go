//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

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
	// An orphan is reaped by the machine's init, in its own time, and others' come and go.
	eventually(t, "no zombie is left", func() bool { return len(zombies(t)) <= len(before) })
}

// zombies are the turnstiles and guards that nobody has reaped.
func zombies(t *testing.T) (lines []string) {
	t.Helper()
	for _, line := range allProcesses(t) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], "Z") && (strings.Contains(line, "turnstile") || strings.Contains(line, "lock-guard")) {
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
