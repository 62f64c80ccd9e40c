package main

import "syscall"

// attributes start the command as the leader of its own group. There is no
// parent-death signal here; the guard is alone.
func attributes(foreground bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: stdin}
}

// await blocks until the command stops or ends. waitid is no help here: with
// WEXITED it returns for stops as well (golang.org/issue/19314). So an ended
// command is reaped at once, and its group's number is its own only as long as
// somebody of the group lives, which Signal asks first.
func await(pid int) (status syscall.WaitStatus, reaped bool, err error) {
	for {
		_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
		if err != syscall.EINTR {
			return status, err == nil, err
		}
	}
}
