package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// workerEnv holds the spec of a worker process, which is this binary again; it
// works for the tests' binary as well.
const workerEnv = "TURNSTILE_PEERS_WORKER"

// What goes through a worker's stdin, a line each. Its answers on stdout are
// one JSON string when it is ready, and one outcome at the end. The end of
// stdin ends it: a worker never outlives its parent.
const (
	lineBegin   = "begin"
	lineMeasure = "measure"
	lineStop    = "stop"
	answerReady = "ready"
)

// A worker is a performer in a process of its own.
type worker struct {
	cmd     *exec.Cmd
	cancel  context.CancelFunc // kills it
	stdin   io.WriteCloser
	answers *json.Decoder
}

func newWorker(sp spec) (*worker, error) {
	// The same binary: its code is in the page cache, and its version is ours.
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	text, err := json.Marshal(sp)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	// A worker gives up by itself; one that can't is killed a little later, and
	// then its result is missing.
	ctx, cancel := context.WithTimeout(context.Background(), sp.Budget+2*patience)
	w := &worker{cmd: exec.CommandContext(ctx, binary), cancel: cancel}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	w.cmd.Stderr = os.Stderr
	if err := w.start(); err != nil {
		cancel()
		return nil, fmt.Errorf("worker: %w", err)
	}
	var ready string
	if err := w.answers.Decode(&ready); err != nil || ready != answerReady {
		return nil, errors.Join(fmt.Errorf("worker %d did not get ready", sp.Process), w.dismiss())
	}
	return w, nil
}

// start gives the worker its two pipes; stderr is ours, for what it has to say
// when it can't start.
func (w *worker) start() error {
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	w.stdin, w.answers = stdin, json.NewDecoder(stdout)
	return w.cmd.Start()
}

func (w *worker) say(line string) error {
	if _, err := io.WriteString(w.stdin, line+"\n"); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}

func (w *worker) begin() error   { return w.say(lineBegin) }
func (w *worker) measure() error { return w.say(lineMeasure) }
func (w *worker) stop() error    { return w.say(lineStop) }

// result waits; how long is bounded by the worker's own budget, and behind that
// by the kill that newWorker set.
func (w *worker) result() (outcome, error) {
	var o outcome
	if err := w.answers.Decode(&o); err != nil {
		return o, fmt.Errorf("worker: no result: %w", err)
	}
	return o, nil
}

func (w *worker) dismiss() error {
	defer w.cancel()
	_ = w.stdin.Close() // the worker's sign to end; it may have ended already
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}

// work is the whole life of a worker process. It says that it is ready only when
// its connections stand, so that no worker measures while another dials.
func work(text string, stdin io.Reader, stdout io.Writer) error {
	var sp spec
	if err := json.Unmarshal([]byte(text), &sp); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	s, err := newSoloist(sp)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(answerReady); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case lineBegin:
			err = s.begin()
		case lineMeasure:
			err = s.measure()
		case lineStop:
			if err = s.stop(); err == nil {
				var o outcome
				if o, err = s.result(); err == nil {
					err = answers.Encode(o)
				}
			}
		default:
			err = fmt.Errorf("unknown line %q", line)
		}
		if err != nil {
			return err
		}
	}
	return s.dismiss()
}
