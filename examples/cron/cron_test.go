// Package cron tests the crontab of its folder: the same line on many machines, one of
// which runs the job.
package cron

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// line is the crontab's command, as cron gives it to sh.
func line(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("crontab")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^[0-9*/ ]+\s(turnstile .*)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no command in\n%s", text)
	}
	return string(m[1])
}

func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	command := exec.Command("go", "build", "-o", filepath.Join(dir, "turnstile"), "./cmd/turnstile")
	command.Dir = "../.." // a module of its own
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// Eight machines' crons fire while the job of one still runs: the others skip it, and
// say nothing that cron would mail. When it is over, the next one runs.
func TestOneMachineRunsTheJob(t *testing.T) {
	bin, reports := build(t), t.TempDir()
	redis := servertest.Redis(t)
	gate := filepath.Join(t.TempDir(), "gate")
	if out, err := exec.Command("mkfifo", gate).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	job, err := filepath.Abs("nightly-report")
	if err != nil {
		t.Fatal(err)
	}
	command := strings.ReplaceAll(line(t), "/usr/local/bin/nightly-report", job)
	run := func(command string) ([]byte, error) {
		c := exec.Command("/bin/sh", "-c", command)
		c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin", "TURNSTILE_BACKEND=redis://" + redis.Addr + "/0", "REPORTS=" + reports}
		return c.CombinedOutput()
	}
	// The first machine's job reads from the gate, and so goes on until it is opened.
	first := make(chan error, 1)
	go func() { // ends when the gate is opened
		out, err := run(strings.Replace(command, "-- "+job, "-- sh -c 'echo begun >"+gate+"; read line <"+gate+"; "+job+"'", 1))
		if len(out) > 0 {
			t.Errorf("the first says %s", out)
		}
		first <- err
	}()
	if begun, err := os.ReadFile(gate); err != nil || !bytes.Equal(begun, []byte("begun\n")) {
		t.Fatalf("%q, %v", begun, err)
	}
	var others sync.WaitGroup
	for range 7 {
		others.Go(func() {
			if out, err := run(command); err != nil || len(out) > 0 {
				t.Errorf("a machine that skips: %v, %q", err, out)
			}
		})
	}
	others.Wait()
	if made, _ := filepath.Glob(reports + "/report.*"); len(made) != 0 {
		t.Errorf("%d reports while the job still runs", len(made))
	}
	if err := os.WriteFile(gate, []byte("go on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if out, err := run(command); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if made, _ := filepath.Glob(reports + "/report.*"); len(made) != 2 {
		t.Errorf("%d reports, want one of each run", len(made))
	}
}
