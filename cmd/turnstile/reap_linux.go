package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/cmd/turnstile/internal/guard"
)

// reapOrphans reaps the processes whose parents have ended, where the kernel gives
// them to us: as PID 1 of a container, or as a subreaper. Nobody else would, and their
// zombies take up the container's process numbers. It leaves the command and the
// guards to the code that waits for them. stop ends it.
func reapOrphans(command int, g *guard.Guard) (stop func()) {
	var subreaper uintptr
	_ = unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0) // Linux before 3.4 has none
	if os.Getpid() != 1 && subreaper == 0 {
		return func() {}
	}
	ended, quit, over := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(ended, syscall.SIGCHLD)
	go func() { // ends with stop
		defer close(over)
		defer signal.Stop(ended)
		again := time.NewTicker(lookAround)
		defer again.Stop()
		for {
			for reapOne(command, g) {
			}
			select {
			case <-ended:
			case <-again.C: // a zombie that is not ours to reap hides others, and no signal tells when it is gone
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-over
	}
}

// reapOne reaps an orphan, and reports whether there may be more.
func reapOne(command int, g *guard.Guard) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err == unix.EINTR {
		return true
	}
	pid := pidOf(&info)
	if err != nil || pid == 0 || pid == command {
		return false
	}
	return g.Spare(pid, func() {
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // it has ended
	})
}

// pidOf returns the process that a SIGCHLD's Siginfo is about; 0 if none. The union
// that begins with it comes after three ints, aligned like a pointer.
func pidOf(info *unix.Siginfo) int {
	const align = unsafe.Sizeof(uintptr(0))
	const offset = (3*4 + align - 1) / align * align
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}
