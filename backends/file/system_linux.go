package file

import (
	"golang.org/x/sys/unix"
)

const ofdSet, ofdGet = unix.F_OFD_SETLK, unix.F_OFD_GETLK

// allocate makes a file longer, and takes the blocks for that. Not every file
// system can do so without writing (NFS before 4.2, ext3).
func allocate(fd int, from, to int64) error {
	for {
		switch err := unix.Fallocate(fd, 0, from, to-from); err {
		case unix.EINTR:
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return fill(fd, from, to)
		default:
			return err
		}
	}
}

// touch sets a file's times to now, for cleaners that go by them. Reading and writing
// alone would leave the time of access old under noatime.
func (d directory) touch(file string) {
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	_ = unix.UtimesNanoAt(d.fd, file, now, unix.AT_SYMLINK_NOFOLLOW)
}

// replace puts the file of one descriptor in the place of another.
func replace(from, to int) error { return unix.Dup3(from, to, unix.O_CLOEXEC) }
