//go:build linux || darwin

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// A directory is where the files are. It is reached through its descriptor
// alone: were the path given to another directory later, two processes would
// otherwise lock in different places and know nothing of each other.
type directory struct {
	path    string
	file    *os.File
	fd      int    // the file's
	perm    uint32 // of the files in it
	gid     int
	options // as Open was given them
}

func openDirectory(path string, o options) (directory, error) {
	if path == "" {
		return directory{}, fmt.Errorf("%w: file:// needs a directory", backends.ErrInvalid)
	}
	path, err := filepath.Abs(path) // cleaned as well: a trailing slash would follow a link
	if err != nil {
		return directory{}, backends.Unavailable(name, err)
	}
	if !o.reading {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return directory{}, failed("mkdir", path, errors.Unwrap(err))
		}
	}
	// Opened first and looked at afterwards: between a look at the path and its
	// opening, somebody could put a link there.
	fd, err := openAt(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) { // Linux and macOS say a link differently
		return directory{}, backends.Refused(name, obstacle(path), err)
	}
	if err != nil {
		return directory{}, failed("open directory", path, err)
	}
	d := directory{path: path, file: os.NewFile(uintptr(fd), path), fd: fd, options: o}
	if err := d.verify(os.Geteuid()); err != nil {
		d.file.Close()
		return directory{}, err
	}
	return d, nil
}

// obstacle says what is where the directory should be. It is for the message only:
// whatever it is was refused already.
func obstacle(path string) string {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return path + " is a link, which could be made to point elsewhere: name the directory itself"
	}
	return path + " is no directory"
}

// verify looks at what was opened, and not at the path, which may by now name
// something else. uid is the caller's.
func (d *directory) verify(uid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return failed("stat", d.path, err)
	}
	// Root can't be kept from looking. A user may look at any directory that they
	// named, also at another user's. At a path that anybody could have taken, the
	// directory may be a forgery.
	if d.reading && (d.shared || uid == 0) {
		return nil
	}
	if fault := unfit(int(st.Uid), uid, uint32(st.Mode), d.shared); fault != "" { //nolint:unconvert // Mode is a uint16 on macOS
		return backends.Refused(name, fmt.Sprintf("%s %s: name a directory of your own", d.path, fault), fs.ErrPermission)
	}
	// Private files by default. In a shared directory whoever may work there may
	// also change records: it takes both to hand a key over.
	d.gid, d.perm = int(st.Gid), 0o600
	if d.shared {
		d.perm = uint32(st.Mode)&0o666 | 0o600 //nolint:unconvert // as above
	}
	return nil
}

// unfit says what is wrong with a directory of this owner and mode, or "".
func unfit(owner, caller int, mode uint32, shared bool) string {
	switch {
	case owner != caller && !(shared && owner == 0):
		return fmt.Sprintf("belongs to user %d", owner)
	case !shared && mode&0o022 != 0:
		return fmt.Sprintf("is writable by others (mode %04o)", mode&0o7777)
	case mode&0o002 != 0 && mode&unix.S_ISVTX == 0:
		return fmt.Sprintf("is writable by all and not sticky (mode %04o)", mode&0o7777)
	}
	return ""
}

func (d directory) join(file string) string { return filepath.Join(d.path, file) }

// openAt opens without following a link, without handing the descriptor to
// children, and without waiting for the other end of a pipe that somebody
// left there.
func openAt(dir int, path string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// open opens an existing file.
func (d directory) open(file string, flags int) (int, error) { return openAt(d.fd, file, flags, 0) }

// create makes a file that must not exist. An existing one is never opened
// with O_CREAT: Linux refuses that in sticky directories (fs.protected_regular).
func (d directory) create(file string) (int, error) {
	fd, err := openAt(d.fd, file, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil || d.perm == 0o600 {
		return fd, err
	}
	// Best effort: the group is right already where the directory is setgid.
	_ = unix.Fchown(fd, -1, d.gid)
	// Not by the mode given to open, which the umask cuts.
	if err := unix.Fchmod(fd, d.perm); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// unlink fails for another user's file in a sticky directory; that user's own
// sweep will remove it.
func (d directory) unlink(file string) error { return unix.Unlinkat(d.fd, file, 0) }

// errSecondName: a file with a second name is refused as a link is, since anybody
// may own the other name.
var errSecondName = fmt.Errorf("it is no plain file, or has a second name (a hard link): %w", unix.ELOOP)

// names reports whether file still is what fd has open: a plain file with no
// second name, through which somebody could have us write elsewhere.
func (d directory) names(file string, fd int) (bool, error) {
	var open, named unix.Stat_t
	if err := unix.Fstat(fd, &open); err != nil {
		return false, err
	}
	if open.Mode&unix.S_IFMT != unix.S_IFREG || open.Nlink > 1 {
		return false, errSecondName
	}
	// Nlink could tell an unlinked file, but not one that was renamed away.
	err := unix.Fstatat(d.fd, file, &named, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil && open.Dev == named.Dev && open.Ino == named.Ino, err
}

// moved reports whether the directory was removed, or given another name: then
// others meet elsewhere.
func (d directory) moved() bool {
	var open, named unix.Stat_t
	if unix.Fstat(d.fd, &open) != nil {
		return false
	}
	// Any other error of the path proves nothing.
	err := unix.Lstat(d.path, &named)
	return errors.Is(err, unix.ENOENT) || err == nil && (open.Dev != named.Dev || open.Ino != named.Ino)
}

// tryFlock takes a flock if that needs no waiting.
func tryFlock(fd, how int) (bool, error) {
	for {
		switch err := unix.Flock(fd, how|unix.LOCK_NB); err {
		case nil:
			return true, nil
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return false, nil
		default:
			return false, err
		}
	}
}

// unlock drops a flock before its descriptor is closed: a child that was just
// forked has a copy until it executes, and closing ours would leave it locked.
func unlock(fd int) {
	_ = unix.Flock(fd, unix.LOCK_UN)
	_ = unix.Close(fd)
}

// list returns all names, read on a descriptor of its own: the position in a
// directory belongs to the open file.
func (d directory) list() ([]string, error) {
	fd, err := d.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	return f.Readdirnames(-1)
}
