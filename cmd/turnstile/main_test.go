package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/bench"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

// long is for a machine that has nothing else to do.
var long = flag.Bool("long", false, "run as many rounds as are promised of a release")

// patience bounds every wait of these tests; only a failure lasts that long.
const patience = time.Minute

// TestMain makes the test binary a turnstile when it is called by that name; the
// scripts and tests start it from the PATH as a user would.
func TestMain(m *testing.M) {
	if bench.RunWorker(findStrategy) {
		return
	}
	if filepath.Base(os.Args[0]) == "turnstile" { // the flags are not ours
		testscript.Main(leakChecked{m}, commands)
	}
	testmain.Prepare(8)
	testscript.Main(leakChecked{m}, commands)
}

var commands = map[string]func(){"turnstile": mainOfTests, "subreaper": subreaper, "deserter": deserter}

// stateParentEnv names the directory that takes /var/tmp's place in a test.
const stateParentEnv = "TURNSTILE_TEST_STATE_PARENT"

func mainOfTests() {
	if dir, ok := os.LookupEnv(stateParentEnv); ok {
		stateParent = dir
	}
	main()
}

// leakChecked is goleak.VerifyTestMain for a runner that exits by itself.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		io.WriteString(os.Stderr, err.Error()+"\n")
		code = 1
	}
	return code
}

// Each script has a file:// backend of its own. `exits CODE COMMAND…` runs a
// command and checks its exit code.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata", func(env *testscript.Env) string { return "file://" + filepath.Join(env.WorkDir, "locks") })
}

// The scripts of testdata/script look at what is held, so they are run over each
// backend that can list.
func TestScriptsOnEachBackend(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		runScripts(t, "testdata/script", func(env *testscript.Env) string { return "file://" + filepath.Join(env.WorkDir, "locks") })
	})
	t.Run("redis", func(t *testing.T) {
		runScripts(t, "testdata/script", func(env *testscript.Env) string {
			return servertest.Redis(env.T().(testing.TB)).URL()
		})
	})
}

func runScripts(t *testing.T, dir string, backend func(*testscript.Env) string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("TURNSTILE_BACKEND", backend(env))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": awaitFile},
	})
}

// awaitFile waits for a file that a command of the script makes.
func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s never came", args[0])
		}
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var status *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &status) {
		got = status.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
