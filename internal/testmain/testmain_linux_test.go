package testmain

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const childEnv = "TURNSTILE_TEST_CHILD"

// TestMain is a package of tests as well, which says what a child of it inherits.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		m.Run()
		return
	}
	Prepare(7)
	cmd := exec.Command("/bin/sh", "-c", `env; echo umask $(umask); grep SigIgn /proc/self/status; echo fds $(ls /proc/self/fd); ulimit -n`)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		os.Stdout.WriteString(err.Error())
	}
	os.Stdout.WriteString("parallel " + flag.Lookup("test.parallel").Value.String() + "\n")
}

// Whatever a process was started with, its children are none the wiser.
func TestNothingIsInherited(t *testing.T) {
	other := filepath.Join(t.TempDir(), "open")
	cmd := exec.Command("/bin/bash", "-c", `trap '' HUP INT QUIT TERM PIPE TSTP TTIN TTOU USR1 CHLD; umask 077; ulimit -Sn 200; exec 7>"$1"; exec "$0"`, os.Args[0], other)
	cmd.Env = append(os.Environ(), childEnv+"=1", "TURNSTILE_BACKEND=redis://elsewhere", "REDIS_URL=redis://elsewhere",
		"LC_ALL=de_DE.UTF-8", "LANG=de_DE.UTF-8", "TZ=Asia/Kolkata", "PAGER=false", "GOFLAGS=-count=1")
	out, err := cmd.Output() // and not bash's warnings
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := "\n" + string(out)
	for _, want := range []string{
		"\numask 0022\n", "\nfds 0 1 2 3\n", "\nLC_ALL=C\n", "\nTZ=UTC\n", "\nGOFLAGS=-count=1\n", "\nPATH=", "\nparallel 7\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:%s", want, text)
		}
	}
	// Signals 32 and up are libc's own or real-time ones, which no test is about.
	_, mask, _ := strings.Cut(text, "\nSigIgn:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	if ignored, err := strconv.ParseUint(mask, 16, 64); err != nil || ignored&(1<<31-1) != 0 {
		t.Errorf("SigIgn is %q: %v", mask, err)
	}
	for _, not := range []string{"elsewhere", "de_DE", "Kolkata", "PAGER", "\n200\n"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is in:%s", not, text)
		}
	}
}

// What the caller says of -parallel counts.
func TestAParallelOfTheCallersWins(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.parallel", "3")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "\nparallel 3\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
