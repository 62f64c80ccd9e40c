//go:build !linux && !darwin

package main

import (
	"errors"
	"runtime"
)

// guardArg and runGuard: there is no guard where nothing is run.
const guardArg = "__guard"

func runGuard() int { return exitUsage }

// execute needs process groups, signals and flock as Unix has them. The library
// works here all the same.
func (p *plan) execute() error {
	return &exitError{code: exitUnavailable, err: errors.New("run is not supported on " + runtime.GOOS + ": only on Linux and macOS")}
}
