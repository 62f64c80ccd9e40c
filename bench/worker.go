package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
)

// workerEnv holds the spec of a worker process, which is this binary again; it
// works for a test's binary as well.
const workerEnv = "TURNSTILE_BENCH_WORKER"

// What goes through a worker's stdin, a line each. Its answers on stdout are a
// greeting when it is ready, and one outcome at the end. The end of stdin ends
// it: a worker never outlives its parent.
const (
	lineBegin   = "begin"
	lineMeasure = "measure"
	lineStop    = "stop"
)

// A greeting is a worker's first answer.
type greeting struct{ Err string }

// A worker is a performer in a process of its own.
type worker struct {
	process int
	cmd     *exec.Cmd
	cancel  context.CancelFunc // kills it
	stdin   io.WriteCloser
	answers *json.Decoder
}

// startWorker starts one; see ready. It is the same binary: its code is in the
// page cache, and its version is ours.
func startWorker(sp spec) (*worker, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: worker: %w", err)
	}
	text, err := json.Marshal(sp)
	if err != nil {
		return nil, fmt.Errorf("bench: worker: %w", err)
	}
	// A worker gives up by itself; one that can't is killed a little later, and
	// then its result is missing.
	ctx, cancel := context.WithTimeout(context.Background(), sp.Budget+2*patience)
	w := &worker{process: sp.Process, cmd: exec.CommandContext(ctx, binary), cancel: cancel}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	w.cmd.Stderr = os.Stderr
	if err := w.start(); err != nil {
		cancel()
		return nil, fmt.Errorf("bench: worker: %w", err)
	}
	return w, nil
}

// ready returns when the worker has opened its strategy.
func (w *worker) ready() error {
	var g greeting
	if err := w.answers.Decode(&g); err != nil {
		return fmt.Errorf("bench: worker %d did not get ready (does its main call RunWorker?): %w", w.process, err)
	}
	if g.Err != "" {
		return errors.New(g.Err)
	}
	return nil
}

// start gives the worker its two pipes; stderr is ours, for what it has to say
// beside its answers.
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
		return fmt.Errorf("bench: worker %d: %w", w.process, err)
	}
	return nil
}

func (w *worker) begin() error   { return w.say(lineBegin) }
func (w *worker) measure() error { return w.say(lineMeasure) }
func (w *worker) stop() error    { return w.say(lineStop) }

// result waits; how long is bounded by the worker's own budget, and behind that
// by the kill that newWorker set.
func (w *worker) result() (o outcome, err error) {
	if err := w.answers.Decode(&o); err != nil {
		return o, fmt.Errorf("bench: worker %d: no result: %w", w.process, err)
	}
	return o, nil
}

func (w *worker) dismiss() error {
	defer w.cancel()
	_ = w.stdin.Close() // the worker's sign to end; it may have ended already
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("bench: worker %d: %w", w.process, err)
	}
	return nil
}

// RunWorker is what every program that measures several processes calls first in
// its main, a test's in its TestMain: if this process was started as a worker of
// a run, it does the worker's whole part, and handled says that nothing else is
// to be done. find returns a strategy by its name; see Among.
func RunWorker(find func(name string) (Strategy, error)) (handled bool) {
	text, ok := os.LookupEnv(workerEnv)
	if !ok {
		return false
	}
	// A Ctrl-C goes to all processes of the terminal's foreground. What becomes of a
	// run is the parent's to say: it wants the figures that there are until then.
	signal.Ignore(os.Interrupt)
	if err := work(find, text, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err) // nowhere else to say it
		os.Exit(1)
	}
	return true
}

// Among finds a strategy in a list.
func Among(list []Strategy) func(name string) (Strategy, error) {
	return func(name string) (Strategy, error) {
		for _, s := range list {
			if s.Name() == name {
				return s, nil
			}
		}
		return nil, fmt.Errorf("bench: no strategy %q", name)
	}
}

// work says that it is ready only when its connections stand, so that no worker
// measures while another dials.
func work(find func(string) (Strategy, error), text string, stdin io.Reader, stdout io.Writer) error {
	answers := json.NewEncoder(stdout)
	var sp spec
	err := json.Unmarshal([]byte(text), &sp)
	var s Strategy
	if err == nil {
		s, err = find(sp.Strategy)
	}
	if err == nil && sp.Part != partLoad {
		return recoveryPart(s, sp, bufio.NewScanner(stdin), answers)
	}
	var so *soloist
	if err == nil {
		so, err = newSoloist(s, sp)
	}
	if err != nil {
		// It is the parent's to tell: the worker as such did what it had to.
		return answers.Encode(greeting{Err: err.Error()})
	}
	if err := answers.Encode(greeting{}); err != nil {
		return err
	}
	return errors.Join(obey(so, bufio.NewScanner(stdin), answers), so.dismiss())
}

// obey takes a soloist through what the parent says.
func obey(so *soloist, lines *bufio.Scanner, answers *json.Encoder) (err error) {
	for err == nil && lines.Scan() {
		switch line := lines.Text(); line {
		case lineBegin:
			err = so.begin()
		case lineMeasure:
			err = so.measure()
		case lineStop:
			if err = so.stop(); err == nil {
				var o outcome
				if o, err = so.result(); err == nil {
					err = answers.Encode(o)
				}
			}
		default:
			err = fmt.Errorf("bench: worker: unknown line %q", line)
		}
	}
	return err
}
