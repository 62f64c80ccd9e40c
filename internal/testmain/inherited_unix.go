//go:build linux || darwin

package testmain

import (
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// openFiles is how many files a test's process and its children may have open,
// where the limit can be raised so far.
const openFiles = 4096

func setInherited() {
	for _, sig := range ignored() {
		// A signal that is caught is at its default in a child. The channel is never
		// read, so an ignored signal stays ignored here.
		signal.Notify(make(chan os.Signal, 1), sig)
	}
	syscall.Umask(0o022)
	raise(syscall.RLIMIT_NOFILE, openFiles)
	raise(syscall.RLIMIT_FSIZE, math.MaxUint64)
	for _, fd := range descriptors() {
		syscall.CloseOnExec(fd)
	}
}

// ignored returns the signals that this process ignores. Signals that Go catches in
// every program are not among them.
func ignored() (list []os.Signal) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil { // no Linux: Go knows of two
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
			if signal.Ignored(sig) {
				list = append(list, sig)
			}
		}
		return list
	}
	_, rest, _ := strings.Cut(string(status), "\nSigIgn:\t")
	text, _, _ := strings.Cut(rest, "\n")
	mask, _ := strconv.ParseUint(text, 16, 64)
	for n := range 31 {
		if mask&(1<<n) != 0 {
			list = append(list, syscall.Signal(n+1))
		}
	}
	return list
}

// raise sets a limit as high as it may be, and no higher than most.
func raise(resource int, most uint64) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(resource, &limit) != nil {
		return
	}
	limit.Cur = min(limit.Max, most)
	_ = syscall.Setrlimit(resource, &limit) // then it stays as it is
}

// descriptors are the open ones, but the three that are passed on.
func descriptors() (list []int) {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, file := range files {
			if fd, err := strconv.Atoi(file.Name()); err == nil && fd > 2 {
				list = append(list, fd)
			}
		}
		break
	}
	return list
}
