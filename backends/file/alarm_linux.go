package file

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm uses inotify to wake a session when a file of the directory was removed,
// or a note came. A user may have some 128 of them; a session without one looks by
// itself, more often.
type alarm struct {
	fd   int
	file *os.File
}

// Only removals are watched in the directory: new files would wake every session.
const (
	directoryEvents = unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	sessionEvents   = unix.IN_MODIFY
)

func newAlarm(dir, session int) *alarm {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	a := &alarm{fd: fd, file: os.NewFile(uintptr(fd), "inotify")}
	if a.add(dir, directoryEvents) != nil || a.add(session, sessionEvents) != nil {
		a.close()
		return nil
	}
	return a
}

// add watches an open file and not a path, since the path may name another file by
// now.
func (a *alarm) add(fd int, events uint32) error {
	_, err := unix.InotifyAddWatch(a.fd, fmt.Sprintf("/proc/self/fd/%d", fd), events)
	return err
}

// follow watches another session file as well.
func (a *alarm) follow(session int) { _ = a.add(session, sessionEvents) }

func (a *alarm) close() { a.file.Close() }

// wait sleeps until something happened, or for d at most. It returns the names of
// removed files, or reports that all may be removed.
func (a *alarm) wait(d time.Duration) (gone []string, all bool) {
	if a.file.SetReadDeadline(time.Now().Add(d)) != nil {
		return nil, true // closed
	}
	var buf [4096]byte
	n, err := a.file.Read(buf[:])
	if err != nil {
		return nil, false // it was quiet; or closed
	}
	for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
		// An event is wd (4), mask (4), cookie (4), length of the name (4), name.
		mask, length := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
		name := rest[unix.SizeofInotifyEvent:][:length]
		rest = rest[unix.SizeofInotifyEvent+int(length):]
		if mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0 {
			gone = append(gone, strings.TrimRight(string(name), "\x00"))
		}
		all = all || mask&unix.IN_Q_OVERFLOW != 0
	}
	return gone, all
}
