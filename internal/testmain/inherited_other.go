//go:build !linux && !darwin

package testmain

func setInherited() {}
