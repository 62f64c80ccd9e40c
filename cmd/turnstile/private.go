package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// warnOfPrivate says at once that the directory is on a mount that systemd made for one
// service (PrivateTmp=yes): a lock there excludes nobody outside of the service.
func (s settings) warnOfPrivate(dir string) {
	mounts, err := os.ReadFile(s.mounts)
	if err != nil {
		return // no Linux, or no /proc
	}
	if place := privateMount(string(mounts), dir); place != "" {
		s.log.Warn(place+" is private to this service (systemd's PrivateTmp=yes), so its locks exclude nobody outside: "+
			"name a directory that both see with --backend file:///DIR, there and here",
			"backend", s.backend)
	}
}

// privateMount returns the mount point under which dir stands if that is private to a
// service, or "". mounts is the text of /proc/PID/mountinfo, see proc_pid_mountinfo(5):
// the root of the mount is the fourth field, and the mount point the fifth.
func privateMount(mounts, dir string) string {
	if real, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(real, filepath.Base(dir))
	}
	nearest, private := "", false
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		root, point := unescape(fields[3]), unescape(fields[4])
		inside := dir == point || strings.HasPrefix(dir, strings.TrimSuffix(point, "/")+"/")
		// If two mounts share a point, the later covers the earlier.
		if inside && len(point) >= len(nearest) {
			nearest, private = point, strings.Contains(root, "/systemd-private-")
		}
	}
	if !private {
		return ""
	}
	return nearest
}

// unescape undoes what the kernel does to blanks and backslashes: three octal digits.
func unescape(field string) string {
	before, rest, found := strings.Cut(field, `\`)
	if !found || len(rest) < 3 {
		return field
	}
	n, err := strconv.ParseUint(rest[:3], 8, 8)
	if err != nil {
		return field
	}
	return before + string([]byte{byte(n)}) + unescape(rest[3:])
}
