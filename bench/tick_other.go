//go:build !linux

package bench

// startTick does nothing: sleeps are as good as the system's timers.
func startTick() (stop func(), err error) { return func() {}, nil }
