package bench

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// startTick wakes the runtime's poller every tickEvery until stop is called, which
// waits until its goroutine is gone. What is due by then runs; see spinBelow.
func startTick() (stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: tick: %w", err)
	}
	period := unix.NsecToTimespec(int64(tickEvery))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: period, Value: period}, nil); err != nil {
		_ = unix.Close(fd) // nothing was made of it
		return nil, fmt.Errorf("bench: tick: %w", err)
	}
	// As a file that does not block, it is in the runtime's poller while it is read.
	f := os.NewFile(uintptr(fd), "tick")
	done := make(chan struct{})
	go func() { // ends when the file is closed
		defer close(done)
		var expirations [8]byte
		for {
			if _, err := f.Read(expirations[:]); err != nil {
				return
			}
		}
	}()
	return func() {
		_ = f.Close() // it holds nothing
		<-done
	}, nil
}
