//go:build linux || darwin

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// A crew is commands that run under slots of one key. Each says that it is in by a file, and stays until it is
// told to leave.
type crew struct {
	t       *testing.T
	backend string
	dir     string
	n       int // how many were started
	inside  map[string]bool
	ended   chan error
}

// inside.sh says that it is in, and leaves when it is told; it is out before its lock is.
const stayInside = `: >in.$1; until [ -e go.$1 ]; do sleep 0.02; done; rm in.$1`

// start starts so many commands.
func (c *crew) start(many, slots int) {
	c.t.Helper()
	for range many {
		c.n++
		cmd := exec.Command("turnstile", "run", "-w", "10m", "--slots", fmt.Sprint(slots), "k", "--", "sh", "-c", stayInside, "sh", fmt.Sprint(c.n))
		cmd.Dir = c.dir
		cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+c.backend)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			c.t.Fatal(err)
		}
		done := make(chan struct{})
		c.t.Cleanup(func() {
			_ = cmd.Process.Kill() // its guard ends the command
			<-done
		})
		go func() { // ends with its command
			defer close(done)
			if err := cmd.Wait(); err != nil {
				err = fmt.Errorf("%w: %s", err, &said)
				c.ended <- err
				return
			}
			c.ended <- nil
		}()
	}
}

// look is who is in now; most is how many may be.
func (c *crew) look(most int) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "in.*"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.inside = map[string]bool{}
	for _, f := range files {
		c.inside[strings.TrimPrefix(filepath.Base(f), "in.")] = true
	}
	if len(c.inside) > most {
		c.t.Fatalf("%d are in: %v, want at most %d", len(c.inside), c.inside, most)
	}
}

// wait waits until so many are in, and no more than most.
func (c *crew) wait(in, most int) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if c.look(most); len(c.inside) == in {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d are in: %v, want %d", len(c.inside), c.inside, in)
		}
	}
}

// leave has one of those that are in leave, and waits until it has ended.
func (c *crew) leave() {
	c.t.Helper()
	for name := range c.inside {
		if err := os.WriteFile(filepath.Join(c.dir, "go."+name), nil, 0o600); err != nil {
			c.t.Fatal(err)
		}
		delete(c.inside, name)
		break
	}
	select {
	case err := <-c.ended:
		if err != nil {
			c.t.Fatal(err)
		}
	case <-time.After(patience):
		c.t.Fatal("it doesn't end")
	}
}

// TestTwentyShellsShareThreeSlots, and a limit that later callers raise and lower.
func TestTwentyShellsShareThreeSlots(t *testing.T) {
	for name, backend := range map[string]func() string{
		"file":  func() string { return "file://" + filepath.Join(t.TempDir(), "locks") },
		"redis": func() string { return servertest.Redis(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			c := &crew{t: t, backend: backend(), dir: t.TempDir(), ended: make(chan error, 64)}
			c.start(20, 3)
			for waiting := 17; waiting > 0; waiting-- {
				c.wait(3, 3) // always, while anybody waits
				c.leave()
			}
			c.wait(3, 3)
			// Five may be in now: no restart, and those that say three go on.
			c.start(6, 5)
			c.wait(5, 5)
			for range 4 {
				c.leave()
				c.wait(5, 5)
			}
			// Two may be: who says so waits until fewer than two are in.
			c.start(4, 2)
			for in := 5; in > 2; in-- {
				c.wait(in, in)
				c.leave()
			}
			c.wait(2, 2)
			for waiting := 4; waiting > 0; waiting-- {
				c.leave()
				c.wait(2, 2)
			}
			c.leave()
			c.leave()
			if code, out, said := on(t, c.backend, "show", "k"); code != 0 || !strings.Contains(out, "free") {
				t.Errorf("%d, %s%s", code, out, said)
			}
		})
	}
}
