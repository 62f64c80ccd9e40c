//go:build linux || darwin

package file

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// sessionPrefix begins the names of session files; 32 hex digits follow.
const sessionPrefix = "s-"

// A session is this process's proof of life, beside its mark. Its file holds the
// notes that others leave for it: see tell.
type session struct {
	name string
	file *os.File // under LOCK_EX until end, or until the process is gone
	fd   int      // the file's
}

// newSession makes a session file and locks it. Between the two a cleaner or
// a prober may have it locked, or may have unlinked it; then another is made.
func newSession(d directory) (*session, error) {
	for range 100 {
		var random [16]byte
		rand.Read(random[:]) // never fails
		s := &session{name: sessionPrefix + hex.EncodeToString(random[:])}
		fd, err := d.create(s.name)
		if err != nil {
			return nil, failed("create", d.join(s.name), err)
		}
		locked, err := tryFlock(fd, unix.LOCK_EX)
		if err == nil && locked {
			if locked, err = d.names(s.name, fd); err == nil && locked {
				s.fd, s.file = fd, os.NewFile(uintptr(fd), d.join(s.name))
				return s, nil
			}
		}
		unlock(fd)
		if err != nil {
			return nil, failed("lock", d.join(s.name), err)
		}
		time.Sleep(time.Millisecond) // whoever looks at it is done by then
	}
	return nil, backends.Unavailable(name, errors.New("no session file in "+d.path+" can be kept"))
}

// linked reports whether the session file still has its name. Without one, others
// can leave no notes, and where there are no marks they take this session for dead.
func (s *session) linked() bool {
	var st unix.Stat_t
	err := unix.Fstat(s.fd, &st)
	return err == nil && st.Nlink > 0
}

// restore puts another file in the place of one that was removed. It is locked
// before it gets the name, so that nobody finds a free file under it.
func (s *session) restore(d directory) error {
	for range 100 {
		spare, err := newSession(d)
		if err != nil {
			return err
		}
		err = unix.Renameat(d.fd, spare.name, d.fd, s.name)
		if err == nil {
			err = replace(spare.fd, s.fd) // the number stays for its users
		}
		spare.file.Close()
		if !errors.Is(err, unix.ENOENT) { // ENOENT: the new file was removed as well
			return err
		}
	}
	return unix.ENOENT
}

// end gives the session up, also if a child has a copy of the descriptor.
func (s *session) end(d directory) error {
	// Unlinked before it is unlocked: a prober finds it locked or missing, and
	// never a free file that somebody else might sweep and report.
	_ = d.unlink(s.name) // a sweep may have been quicker, after somebody cleared the directory
	_ = unix.Flock(s.fd, unix.LOCK_UN)
	return s.file.Close()
}

// alive probes another session: its process is gone if neither its mark is set nor
// its file locked. In doubt a session counts as alive; its leases end at their time.
func (b *Backend) alive(session string) bool {
	if b.session != nil && session == b.session.name || b.marks.others(session) {
		return true
	}
	fd, err := b.dir.open(session, unix.O_RDONLY)
	if err != nil {
		return !errors.Is(err, unix.ENOENT)
	}
	// Shared: two probers at once must not take each other for the owner.
	free, _ := tryFlock(fd, unix.LOCK_SH)
	if free {
		unlock(fd)
		return false
	}
	unix.Close(fd)
	return true
}

func isSession(name string) bool { return isName(name, sessionPrefix) }

// isName checks a name that a record or a note brought, before it is opened: 32
// hex digits follow the prefix.
func isName(name, prefix string) bool {
	if len(name) != len(prefix)+32 || name[:len(prefix)] != prefix {
		return false
	}
	_, err := hex.DecodeString(name[len(prefix):])
	return err == nil
}
