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

// groupRuns reports whether a process of the group runs: a group of zombies alone
// is answered with EPERM.
func groupRuns(group int) bool { return syscall.Kill(-group, 0) == nil }

// groupMarked finds nothing: another process's environment is not to be read
// here without cgo. A turnstile that is killed in the moment between the start of
// its command and its word to the guard leaves the command running.
func groupMarked([]string) int { return 0 }
