//go:build linux || darwin

package file

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// page is the unit of a slot's space: the file's pages belong to the first and
	// the second slot by turns. A held key needs one of each, and a longer queue
	// adds more. It is the block of most file systems, so that no two slots share
	// one.
	page = 4 << 10
	// forgotten is the age of an unreadable record that can hide no lease any
	// more: the longest is 24 h and its slack.
	forgotten = 26 * time.Hour
)

// place returns the file offset of byte at of a slot; slot is 0 or 1.
func place(slot, at int) int64 { return int64(2*(at/page)+slot)*page + int64(at%page) }

// space is the size of a file whose slots have room for n bytes each.
func space(n int) int64 { return 2 * page * int64(max(1, (n+page-1)/page)) }

// read finds the newer slot that is whole; nil without an error is a blank
// file. A torn slot holds a write that failed, or whose process died in it: it
// was never reported as done, so the other slot is what counts. Any other
// trouble with a slot is an error, as it may hold the newest state.
func (b *Backend) read(fd int) (*record, error) {
	var newest *record
	var buf [2 * page]byte // decode copies, so one buffer on the stack will do
	n, err := pread(fd, buf[:], 0)
	if err != nil {
		return nil, err
	}
	first, second := buf[:min(n, page)], buf[min(n, page):n]
	for i, begin := range [][]byte{first, second} {
		slot, err := wholeSlot(fd, i, begin)
		if err == nil {
			var r *record
			if r, err = decode(slot, b.clock); err == nil && (newest == nil || r.seq > newest.seq) {
				newest = r
				r.size = len(slot)
			}
		}
		if err != nil && !errors.Is(err, errTorn) {
			return nil, err
		}
	}
	if newest == nil && !blank(fd, first, second) {
		return nil, errTorn
	}
	return newest, nil
}

// blank reports whether a file without a whole slot may start over: it is
// new; or its first write was torn, and nobody was ever granted anything by
// such a write; or it is all zeros, as a power cut leaves files, and no
// session outlives that; or it is too old to hide a lease.
func blank(fd int, first, second []byte) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	if st.Size == 0 || age(&st) > forgotten {
		return true
	}
	first, second = first[:min(len(first), headerSize)], second[:min(len(second), headerSize)]
	begun := zeros(first) || string(first[:min(len(first), len(magic))]) == magic[:min(len(first), len(magic))]
	return begun && zeros(second)
}

func zeros(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// age is by the wall clock, as file times are; it only ever decides about what
// has been idle for a minute or a day.
func age(st *unix.Stat_t) time.Duration { return time.Since(time.Unix(st.Mtim.Unix())) }

// wholeSlot returns a slot, given its first page. Most slots have no other.
func wholeSlot(fd, slot int, begin []byte) ([]byte, error) {
	body, err := bodySize(begin)
	if err != nil {
		return nil, err
	}
	if headerSize+body <= len(begin) {
		return begin[:headerSize+body], nil
	}
	whole := make([]byte, headerSize+body)
	for at := copy(whole, begin); at < len(whole); {
		n, err := pread(fd, whole[at:min(len(whole), at-at%page+page)], place(slot, at))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errTorn
		}
		at += n
	}
	return whole, nil
}

// pread fills buf as far as the file goes; the end of the file is no error, as a
// slot that is cut off there fails its checksum.
func pread(fd int, buf []byte, at int64) (int, error) {
	done := 0
	for done < len(buf) {
		n, err := unix.Pread(fd, buf[done:], at+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return done, err
		}
		done += n
	}
	return done, nil
}

// spare is what a lease may take more of its slot when it becomes a share, in bytes: a renewal does
// that, and must not need a block.
func (r *record) spare() int {
	if r.lease.none() || r.lease.promised {
		return 0
	}
	return 256
}

// write stores a record's next slot. The blocks are taken before anything is
// written, and for both slots: the first write of a key, and a waiter that makes its
// queue longer, fail on a full disk. Later writes don't: the renewals and the
// release of that key write over blocks that are there.
func write(fd int, r *record, slot []byte) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	length := len(slot) + r.spare()
	if need := space(length); st.Size < need {
		if err := allocate(fd, st.Size, need); err != nil {
			return err
		}
	}
	if err := store(fd, slot, r.seq); err != nil {
		return err
	}
	// The slot that was read before stays whole, for a reader that is in the middle
	// of it.
	if keep := space(max(length, r.size)); len(r.queue) == 0 && st.Size > keep {
		_ = unix.Ftruncate(fd, keep)
	}
	return nil
}

// store writes a slot in the place of the older one: the first write, seq 1,
// goes to the first.
func store(fd int, slot []byte, seq uint64) error {
	which := int((seq + 1) % 2)
	for at := 0; at < len(slot); {
		n, err := unix.Pwrite(fd, slot[at:min(len(slot), at-at%page+page)], place(which, at))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// fill makes a file longer by writing zeros, which take their blocks.
func fill(fd int, from, to int64) error {
	var nothing [page]byte
	for from < to {
		n, err := unix.Pwrite(fd, nothing[:min(page, to-from)], from)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}
