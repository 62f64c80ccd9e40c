package servers

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// dieWithParent makes the kernel kill the child when the thread that forked it
// ends; launch keeps that thread. The child is out of the terminal's reach: a Ctrl-C
// is the parent's, which may have something left to ask the server.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// pause returns only when the kernel says that the process stands still: the
// signal is delivered a little later than kill(2) returns, and a request that
// slips in between would be answered.
func (p *process) pause() error {
	if err := p.os.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("servers: pause: %w", err)
	}
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		if state, err := p.state(); err != nil || state == 'T' {
			return err
		}
		select {
		case <-p.gone:
			return fmt.Errorf("servers: pause: the server ended")
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("servers: pause: still running after %v", startTimeout)
}

// state is the letter behind the command's name in /proc/PID/stat.
func (p *process) state() (byte, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, fmt.Errorf("servers: pause: %w", err)
	}
	name := bytes.LastIndexByte(stat, ')')
	if name < 0 || name+2 >= len(stat) {
		return 0, fmt.Errorf("servers: pause: unreadable %q", stat)
	}
	return stat[name+2], nil
}

func (p *process) resume() error {
	if err := p.os.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("servers: resume: %w", err)
	}
	return nil
}
