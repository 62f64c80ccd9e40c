package file

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ofdSet and ofdGet are F_OFD_SETLK and F_OFD_GETLK of <sys/fcntl.h>, which x/sys lacks.
const ofdSet, ofdGet = 90, 92

// allocate makes a file longer, and takes the blocks for it.
func allocate(fd int, from, to int64) error { return fill(fd, from, to) }

// touch sets a file's times to now, for cleaners that go by them.
func (d directory) touch(file string) {
	fd, err := d.open(file, unix.O_RDONLY)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	now := unix.NsecToTimeval(time.Now().UnixNano())
	_ = unix.Futimes(fd, []unix.Timeval{now, now})
}

// replace puts the file of one descriptor in the place of another.
func replace(from, to int) error {
	syscall.ForkLock.RLock() // no child may inherit it in between
	defer syscall.ForkLock.RUnlock()
	err := unix.Dup2(from, to)
	if err == nil {
		unix.CloseOnExec(to)
	}
	return err
}
