//go:build !linux && !darwin

package main

import (
	"errors"
	"runtime"
)

// keepIgnored does nothing: processes inherit no ignored signals.
func keepIgnored() {}

// execute needs process groups, signals and flock as Unix has them. The library
// works here all the same.
func (p *plan) execute() error {
	return &exitError{code: exitUnavailable, err: errors.New("run is not supported on " + runtime.GOOS + ": only on Linux and macOS")}
}
