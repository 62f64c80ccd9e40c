//go:build !cgo && (darwin || (linux && !amd64 && !arm64))

package inherited

import (
	"os/signal"
	"syscall"
)

// ignored has bit n-1 set for each signal n that the runtime has kept ignored.
func ignored() (mask uint64) {
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			mask |= 1 << (sig - 1)
		}
	}
	return mask
}
