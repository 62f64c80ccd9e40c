//go:build linux || darwin

package file

import (
	"encoding/binary"
	"encoding/hex"
	"errors"

	"golang.org/x/sys/unix"
)

// Marks are locks on single bytes of the directory itself, one for a session and one
// for each key that it holds. A file can be removed by anybody; a mark lives in the
// kernel for as long as the open directory through which it was set. So it lasts as
// long as its process, and as long as a guard that has a copy. A mark doesn't name
// its session or an end. So it counts only where the file that has these is missing:
// see claim and alive.
//
// They are open file description locks (F_OFD_SETLK), for reading, since a directory
// can't be opened for writing. A test for a write lock finds the marks of other
// sessions.
type marks struct {
	fd int  // the directory, opened by this session for itself
	on bool // the system has them, on directories too
}

// A session's byte is in the upper half, a key's in the lower.
const sessionMarks = 1 << 61

// markOf is the byte of a record or of a session, by its file's name.
func markOf(file string) int64 {
	var sum [8]byte
	_, _ = hex.Decode(sum[:], []byte(file[len(recordPrefix):][:16])) // a name of ours
	at := int64(binary.BigEndian.Uint64(sum[:]) >> 3)
	if file[:len(sessionPrefix)] == sessionPrefix {
		at |= sessionMarks
	}
	return at
}

// newMarks marks a session, and makes sure that another would see it. A system that
// has no such locks goes without. A failure that passes (no descriptor left, no
// memory) is an error: without marks this session would not see the marks of others
// either, and could be granted a key whose record was removed under its holder.
func newMarks(d directory, session string) (marks, error) {
	m := marks{fd: d.fd, on: true}
	other, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return marks{}, failed("open directory", d.path, err)
	}
	defer unix.Close(other)
	if err := m.set(session); errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOMEM) {
		return marks{}, failed("mark", d.path, err)
	} else if err != nil {
		return marks{}, nil
	}
	if !(marks{fd: other, on: true}).others(session) || m.others(session) {
		m.clear(session)
		return marks{}, nil
	}
	return m, nil
}

func (m marks) set(file string) error {
	if !m.on {
		return nil
	}
	return m.do(ofdSet, &unix.Flock_t{Type: unix.F_RDLCK, Start: markOf(file), Len: 1})
}

func (m marks) clear(file string) {
	if m.on {
		_ = m.do(ofdSet, &unix.Flock_t{Type: unix.F_UNLCK, Start: markOf(file), Len: 1})
	}
}

// end clears all marks, also those that a copy of the descriptor would keep.
func (m marks) end() {
	if m.on {
		_ = m.do(ofdSet, &unix.Flock_t{Type: unix.F_UNLCK})
	}
}

// others reports whether another session has set this mark.
func (m marks) others(file string) bool {
	if !m.on {
		return false
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: markOf(file), Len: 1}
	return m.do(ofdGet, &l) == nil && l.Type != unix.F_UNLCK
}

func (m marks) do(what int, l *unix.Flock_t) error {
	for {
		if err := unix.FcntlFlock(uintptr(m.fd), what, l); err != unix.EINTR {
			return err
		}
	}
}
