package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// startTimeout bounds one start, which usually takes 10 ms: no machine is so
	// slow, only a server that doesn't start.
	startTimeout = time.Minute
	// startAttempts is how many ports are tried before giving up: between the
	// look for a free port and the server's own bind, somebody else may take it.
	startAttempts = 8
	readyPoll     = 5 * time.Millisecond
	// probeTimeout bounds the connection of one look and its answer.
	probeTimeout = time.Second
)

// A kind is what differs between the servers.
type kind struct {
	binary, pkg string // the program, and the Debian package it comes in
	scheme      string
	args        func(port, dir string) []string
	// bus is how far above its port it has another one; 0 is none.
	bus int
	// prepare puts what it reads at its first start into its directory; nil is
	// nothing.
	prepare func(dir string) error
	// dial connects to it; nil is plain TCP.
	dial func(addr string) (net.Conn, error)
	// ask asks a server over conn who it is: its process id, or 0 if it answers
	// but won't say (a password).
	ask func(conn net.Conn) (pid int, err error)
}

// A Server is one running server process. Its methods are called by one
// goroutine at a time.
type Server struct {
	// Addr is host:port, the same over restarts.
	Addr string

	kind   kind
	binary string // the path of its program
	args   []string
	dir    string
	output *output
	proc   *process // nil while stopped
	paused bool
}

// start runs a server of the kind on a free port.
func start(k kind, args []string) (*Server, error) {
	binary, err := look(k.binary, k.pkg)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "turnstile-"+k.binary+"-")
	if err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	s := &Server{kind: k, binary: binary, args: args, dir: dir, output: new(output)}
	if k.prepare != nil {
		if err := k.prepare(dir); err != nil {
			s.Close()
			return nil, fmt.Errorf("servers: %w", err)
		}
	}
	var failures error
	for range startAttempts {
		if s.Addr, err = ports.addr(k.bus); err == nil {
			if err = s.run(); err == nil {
				return s, nil
			}
		}
		failures = errors.Join(failures, err)
	}
	s.Close()
	return nil, failures
}

// URL is the server as a backend URL names it.
func (s *Server) URL() string { return s.kind.scheme + "://" + s.Addr }

// String is the server's address, for a failing test's words.
func (s *Server) String() string { return s.Addr }

// PID is the server's process id, 0 while it is stopped.
func (s *Server) PID() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// Output is the end of what the server wrote, for a failing test's log.
func (s *Server) Output() string { return s.output.String() }

// Stop kills the server outright, as a crash would, and waits until it is gone.
// On a stopped server it does nothing.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	s.proc.kill()
	s.proc, s.paused = nil, false
}

// Restart kills the server and starts it again, empty, on the same port. What
// it keeps in its directory stays, such as the part it has in a cluster.
func (s *Server) Restart() error {
	s.Stop()
	// A Redis that was copied by others has had it written down for them.
	copies, err := filepath.Glob(filepath.Join(s.dir, "*.rdb"))
	for _, file := range copies {
		err = errors.Join(err, os.Remove(file))
	}
	if err != nil {
		return fmt.Errorf("servers: restart: %w", err)
	}
	var failures error
	for range startAttempts {
		err := s.run()
		if err == nil {
			return nil
		}
		failures = errors.Join(failures, err)
	}
	return failures
}

// Pause stops the process without ending it: its connections stay, and nothing
// answers. It returns once the process has stopped.
func (s *Server) Pause() error {
	if s.proc == nil {
		return errors.New("servers: pause: the server is stopped")
	}
	if err := s.proc.pause(); err != nil {
		return err
	}
	s.paused = true
	return nil
}

// Resume lets a paused server go on.
func (s *Server) Resume() error {
	if s.proc == nil {
		return errors.New("servers: resume: the server is stopped")
	}
	if err := s.proc.resume(); err != nil {
		return err
	}
	s.paused = false
	return nil
}

// Close stops the server and removes its directory.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir) // a directory of ours under the system's temporary one; nothing depends on it
}

// run starts the process on s.Addr and waits until it, and no other, answers.
func (s *Server) run() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	proc, err := launch(s.binary, append(s.kind.args(port, s.dir), s.args...), s.dir, s.output)
	if err != nil {
		return err
	}
	if err := s.awaitReady(proc); err != nil {
		proc.kill()
		return fmt.Errorf("servers: %s on %s: %w\n%s", s.kind.binary, s.Addr, err, s.output)
	}
	s.proc = proc
	return nil
}

func (s *Server) awaitReady(proc *process) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		pid, err := s.ask()
		switch {
		case err != nil:
		case pid == proc.pid:
			return nil
		case pid == 0:
			// It keeps its identity to itself. A process that lost the port to
			// another would have ended by its own bind error.
			if alive := proc.alive(); alive {
				return nil
			}
		default:
			return fmt.Errorf("the port is another process's (%d)", pid)
		}
		select {
		case <-proc.gone:
			return errors.New("it ended while starting")
		case <-deadline.C:
			return fmt.Errorf("not ready in %v: %w", startTimeout, err)
		case <-poll.C:
		}
	}
}

func (s *Server) ask() (int, error) {
	dial := s.kind.dial
	if dial == nil {
		dial = func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, probeTimeout) }
	}
	conn, err := dial(s.Addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close() // a probe's connection; the answer is in hand
	if err := conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return 0, err
	}
	return s.kind.ask(conn)
}

// field finds "name<sep>number" in a server's answer about itself.
func field(answer, name string) (int, bool) {
	_, rest, ok := strings.Cut(answer, name)
	if !ok {
		return 0, false
	}
	digits := strings.TrimSpace(rest)
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}
