package main

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes start the command as the leader of its own group. The parent-death
// signal covers the moment until the guard knows the group; it spares
// grandchildren, so it does not replace the guard.
func attributes(foreground bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: stdin, Pdeathsig: syscall.SIGKILL}
}

// await blocks until the command stops or ends. An ended one is left as a zombie,
// so that its number, and with it the group's, stays taken until it is reaped.
func await(pid int) (status syscall.WaitStatus, reaped bool, err error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, false, err
		case info.Code != cldStopped && info.Code != cldTrapped:
			return 0, false, nil
		}
		// The stop has to be taken for the next wait to block. It may be over by now,
		// and the command may even have ended: then this has reaped it.
		n, err := syscall.Wait4(pid, &status, syscall.WUNTRACED|syscall.WNOHANG, nil)
		if n == pid && err == nil {
			return status, true, nil
		}
	}
}

// Why a child changed state, from siginfo.h.
const (
	cldTrapped = 4
	cldStopped = 5
)
