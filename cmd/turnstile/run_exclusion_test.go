//go:build linux || darwin

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The section notices another one beside it by a directory that is there already,
// and by a counter that is read and written with a pause in between: without a
// lock, increments get lost.
const section = `
	mkdir "$0/inside" || exit 99
	read n <"$0/counter"
	sleep 0.002
	echo $((n + 1)) >"$0/counter"
	rmdir "$0/inside"`

func TestCommandsOfManyProcessesNeverMeet(t *testing.T) {
	t.Parallel()
	const processes = 4
	onEach(t, func(t *testing.T, backend string) {
		rounds := 100
		if *long {
			rounds = 1000
		}
		if strings.HasPrefix(backend, "memcache:") {
			rounds = 40 // each takes as long, and the way through the command is the same
		}
		dir := t.TempDir()
		counter := filepath.Join(dir, "counter")
		if err := os.WriteFile(counter, []byte("0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range processes {
			wg.Go(func() {
				for range rounds / processes {
					cmd := exec.Command("turnstile", "run", "k", "--", "sh", "-c", section, dir)
					cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
						return
					}
				}
			})
		}
		wg.Wait()
		got, err := os.ReadFile(counter)
		if n, _ := strconv.Atoi(strings.TrimSpace(string(got))); n != rounds {
			t.Errorf("the counter is %q, want %d (%v)", got, rounds, err)
		}
	})
}

// Without the lock the section does notice: the test above means something.
func TestTheSectionNoticesCompany(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	var status *exec.ExitError
	if err := exec.Command("sh", "-c", section, dir).Run(); !errors.As(err, &status) || status.ExitCode() != 99 {
		t.Errorf("%v, want exit code 99", err)
	}
}
