//go:build !linux

package main

// subreaper is a command of the tests on Linux.
func subreaper() {}

func deserter() {}
