package guard

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Running reports whether a process of the group runs. kill(2) alone can't tell:
// it finds zombies too, and in a container whose init does not reap, an orphan's
// zombie stays for good.
func Running(group int) bool {
	if syscall.Kill(-group, 0) == syscall.ESRCH {
		return false
	}
	found, err := anyProcess(func(dir string) bool {
		fields := statFields(dir)
		return fields != nil && string(fields[statGroup]) == strconv.Itoa(group)
	})
	return found != "" || err != nil
}

// rename gives the process the guard's name, which killall and pkill match. A
// process that can't be renamed is still a guard.
func rename() { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) }

// marked is the group of a running process that has all the marks in its
// environment; 0 if there is none.
func marked(marks []string) (group int) {
	_, _ = anyProcess(func(dir string) bool {
		environ, err := os.ReadFile(dir + "environ")
		if err != nil {
			return false // gone, or another user's
		}
		variables := strings.Split(string(environ), "\x00")
		for _, mark := range marks {
			if !slices.Contains(variables, mark) {
				return false
			}
		}
		fields := statFields(dir)
		if fields == nil {
			return false
		}
		group, err = strconv.Atoi(string(fields[statGroup]))
		return err == nil
	})
	return group
}

// anyProcess returns the /proc directory of the first process that fits.
func anyProcess(fits func(dir string) bool) (dir string, err error) {
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		if name := e.Name(); name[0] < '1' || name[0] > '9' {
			continue
		}
		if dir := "/proc/" + e.Name() + "/"; fits(dir) {
			return dir, nil
		}
	}
	return "", err
}

// Where the state and the process group stand in the result of statFields.
const (
	statState = 0
	statGroup = 2
)

// statFields are the fields of /proc/PID/stat from the state on: pid (name) state
// ppid pgrp …. The name may hold spaces and parentheses, so they are counted from
// its end. It is nil for a process that is gone or a zombie.
func statFields(dir string) [][]byte {
	stat, err := os.ReadFile(dir + "stat")
	end := bytes.LastIndexByte(stat, ')')
	if err != nil || end < 0 {
		return nil
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) <= statGroup || fields[statState][0] == 'Z' || fields[statState][0] == 'X' {
		return nil
	}
	return fields
}
