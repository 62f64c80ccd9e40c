package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// subreaper is a command of these tests: it becomes the process that gets the orphans
// among its descendants, as PID 1 of a container is, and then the command that it was given.
func subreaper() {
	path, err := exec.LookPath(os.Args[1])
	if err == nil {
		err = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if err == nil {
		err = syscall.Exec(path, os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestOrphansThatAreOursAreReaped(t *testing.T) {
	t.Parallel()
	// The inner shell ends at once; its children are orphans, each known by its number.
	const orphans = 20
	script := fmt.Sprintf(`sh -c 'for i in $(seq %d); do sleep 600 & echo $!; done'; echo made; read x; exit 7`, orphans)
	cmd := exec.Command("subreaper", "turnstile", "-v", "run", "k", "--", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := launchCmd(t, cmd)
	var pids []int
	for range orphans {
		pids = append(pids, r.number(t))
	}
	r.line(t)
	for i, pid := range pids {
		if parent := parentOf(t, pid); parent != r.cmd.Process.Pid {
			t.Fatalf("the parent of an orphan is %d, not turnstile", parent)
		}
		if i == orphans/2 { // the guard's end is not an orphan's
			mustKill(t, guardOf(t, r.cmd.Process.Pid), syscall.SIGKILL)
		}
		mustKill(t, pid, syscall.SIGKILL)
	}
	for _, pid := range pids {
		eventually(t, "an orphan is reaped", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	}
	guardOf(t, r.cmd.Process.Pid) // there is another one
	if _, err := end.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	r.exit(t, 7)
}

func parentOf(t *testing.T, pid int) (parent int) {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=", "-p", strconv.Itoa(pid)).Output()
	if err == nil {
		_, err = fmt.Sscan(string(out), &parent)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parent
}
