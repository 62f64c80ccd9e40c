//go:build unix && !linux

package servers

import (
	"fmt"
	"syscall"
)

// dieWithParent has no counterpart here: a killed test leaves its server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

func (p *process) pause() error {
	if err := p.os.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("servers: pause: %w", err)
	}
	return nil
}

func (p *process) resume() error {
	if err := p.os.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("servers: resume: %w", err)
	}
	return nil
}
