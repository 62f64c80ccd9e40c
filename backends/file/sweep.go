//go:build linux || darwin

package file

import (
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sweepEvery and sweepNames bound a sweep: two names a release are more
	// than releases can leave behind.
	sweepEvery = 64
	sweepNames = 128
)

// A sweeper walks through the directory, some names at a time, and removes
// what is idle: a million one-off keys leave nothing behind.
type sweeper struct {
	released atomic.Uint64
	mu       sync.Mutex // protects dir; one sweep at a time is enough
	dir      *os.File   // where the walk is; nil: at the beginning
}

// close is called under the backend's life lock: no verb is sweeping.
func (s *sweeper) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != nil {
		s.dir.Close()
	}
}

func (b *Backend) sweepSometimes() {
	if b.sweeper.released.Add(1)%sweepEvery == 0 {
		b.sweep()
	}
}

// sweep looks at the next names. It fails silently: whatever is in its way
// will be reported by a verb, if it is in that one's way, too.
func (b *Backend) sweep() {
	s := &b.sweeper
	// Whoever is sweeping does it for everybody; a release must not queue for it.
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.dir == nil {
		fd, err := b.dir.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return
		}
		// Kept open between sweeps: it remembers where the walk is.
		s.dir = os.NewFile(uintptr(fd), b.dir.path)
	}
	names, err := s.dir.Readdirnames(sweepNames)
	for _, file := range names {
		b.sweepFile(file)
	}
	if err == io.EOF || len(names) < sweepNames {
		s.dir.Close()
		s.dir = nil
	}
}

// sweepFile unlinks one file if it is idle. It does so under its flock: who
// waits for that will find that the path names another inode, and start over.
func (b *Backend) sweepFile(file string) {
	isRecord := strings.HasPrefix(file, recordPrefix)
	if !isRecord && !isSession(file) {
		return
	}
	var st unix.Stat_t
	if unix.Fstatat(b.dir.fd, file, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || age(&st) < keep || file == b.session.name {
		return
	}
	// For a session the flock is the proof that it is dead. A young process that
	// has made its file and not locked it yet finds it gone, and makes another.
	fd, err := b.tryLock(file, false)
	if err != nil || fd < 0 {
		return // busy, or alive
	}
	defer unlock(fd)
	// A record of a marked key stays, since the key may be asked for again: see
	// claim. Its holder is stopped and its lease is over, and only the record shows
	// that it is over.
	if !isRecord || b.idle(fd) && !b.marks.others(file) {
		_ = b.dir.unlink(file)
	}
}

// idle reports whether a record can go: its lease ended keep ago, nobody
// waits, and its last base lies that far in the past, so that the time alone
// makes the next base greater.
func (b *Backend) idle(fd int) bool {
	// The write may have been younger than the look that came before the lock.
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || age(&st) < keep {
		return false
	}
	r, err := b.read(fd)
	if err != nil || r == nil {
		return age(&st) > forgotten || (err == nil && r == nil)
	}
	now := b.clock.now()
	b.prune(r, now)
	ended := now >= r.lease.ends+keep.Microseconds() || (!r.lease.none() && !b.alive(r.lease.session))
	ended = ended && now >= r.rest.until && !slices.ContainsFunc(r.shares, func(s share) bool { return now < s.ends+keep.Microseconds() && b.alive(s.session) })
	return ended && len(r.queue) == 0 && time.UnixMicro(int64(r.last)).Add(keep).Before(time.Now())
}
