package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// python is asked for once: looking for it starts an interpreter.
var python = sync.OnceValues(servers.Python)

// script is what a Python process runs; its head lists the commands.
const script = "testdata/peer.py"

// A process is a peer in Python, in a process of its own. Its clients are
// threads there.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
	reaped  bool
}

func inPython(name string) library {
	l := library{name: name + " (Python)"}
	l.open = func(t *testing.T, s settings) peer { return launch(t, name, s) }
	l.compete = func(t *testing.T, s settings, c contest) <-chan outcome[struct{}] {
		var all []*process
		for range peerProcesses {
			all = append(all, launch(t, name, s))
		}
		line := fmt.Sprintf("holds %d %d %f %s", peerWorkers/peerProcesses, c.holds/peerWorkers, theirRest.Seconds(), c.dir)
		// All begin before the first is asked how it went.
		return beside(func() (none struct{}, err error) { // ends with its processes
			for _, p := range all {
				err = errors.Join(err, p.say(line))
			}
			for _, p := range all {
				err = errors.Join(err, p.hear("ok"))
			}
			return none, err
		})
	}
	return l
}

// budget is how long a process may live: one that hangs is killed, and then its
// answer is missing.
const budget = 90 * time.Second

// launch starts a process and returns when it is connected; the test's end kills it.
func launch(t *testing.T, library string, s settings) *process {
	t.Helper()
	interpreter, err := python()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	t.Cleanup(cancel)
	p := &process{cmd: exec.CommandContext(ctx, interpreter, script, library, port, fullKey,
		fmt.Sprint(s.expires.Seconds()), fmt.Sprint(s.pause.Seconds()))}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.answers = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.crash)
	if err := p.hear("ready"); err != nil {
		t.Fatal(err)
	}
	return p
}

// say and hear report errors instead of failing the test: they run beside it, too.
func (p *process) say(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

func (p *process) hear(want string) error {
	if !p.answers.Scan() {
		return errors.Join(errors.New("python: it ended"), p.answers.Err())
	}
	if got := p.answers.Text(); got != want {
		return fmt.Errorf("python: %s", got)
	}
	return nil
}

func (p *process) acquire(wait time.Duration) (bool, error) {
	if err := p.say(fmt.Sprintf("acquire %f", wait.Seconds())); err != nil {
		return false, err
	}
	switch err := p.hear("yes"); {
	case err == nil:
		return true, nil
	case p.answers.Text() == "no":
		return false, nil
	default:
		return false, err
	}
}

func (p *process) release() error {
	if err := p.say("release"); err != nil {
		return err
	}
	return p.hear("ok")
}

// crash kills the process, if it is still there, and waits until it is gone.
func (p *process) crash() {
	if p.reaped {
		return
	}
	p.reaped = true
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // "signal: killed"; it closes the pipes, too
}
