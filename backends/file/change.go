//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// busy bounds how long a call waits for a record's flock. Others have it for
	// microseconds, unless one of them is stopped.
	busy = 2 * time.Second
	// firstNap and lastNap bound the pauses between looks at a busy record.
	firstNap, lastNap = 30 * time.Microsecond, 2 * time.Millisecond
	// settling is how long a new file of another user may refuse us: that user
	// opens it to others right after it is made.
	settling = 50 * time.Millisecond
)

var errMissing = errors.New("no record")

// change runs one step on a key's record, under its flock. step says whether
// the record is to be written; its effect counts only if change returns nil.
// Without create a missing record is errMissing, unless it is ours to put back.
//
// step runs again if the record was removed meanwhile, since its write is lost then.
func (b *Backend) change(ctx context.Context, key string, create bool, step func(r *record, now int64) (write bool)) error {
	for {
		again, news, err := b.changeOnce(ctx, key, create, step)
		for _, session := range news {
			b.tell(session, givenNote+recordName(key))
		}
		if !again {
			return err
		}
	}
}

// changeOnce returns the sessions to tell; the caller tells them without the flock.
func (b *Backend) changeOnce(ctx context.Context, key string, create bool, step func(r *record, now int64) (write bool)) (again bool, news []string, err error) {
	file := recordName(key)
	fd, err := b.lock(ctx, file, create || b.holds(key, backends.Token{}))
	if err != nil {
		return false, nil, err
	}
	defer unlock(fd)
	r, err := b.load(fd, key)
	if err != nil {
		return false, nil, b.unreadable(file, err)
	}
	// The time is read under the flock: the holder of the flock before us read an
	// earlier one.
	now := b.clock.now()
	if r.seq == 0 {
		if err := b.putBack(r, now); err != nil {
			return false, nil, err
		}
	}
	before := r.turns(now)
	if !step(r, now) {
		return false, nil, nil
	}
	r.seq++
	if err := write(fd, r, r.encode(b.clock)); err != nil {
		// At most the older slot is spoilt. The newer one is unchanged, so nothing
		// happened.
		return false, nil, failed("write", b.dir.join(file), err)
	}
	same, err := b.dir.names(file, fd)
	if err != nil {
		return false, nil, failed("look at", b.dir.join(file), err)
	}
	return !same, b.newcomers(before, r.turns(now)), nil
}

// lock opens a record and takes its flock. It looks again and again instead
// of blocking in flock(2), where no context could reach it.
func (b *Backend) lock(ctx context.Context, file string, create bool) (int, error) {
	var started time.Time
	for nap := firstNap; ; nap = min(2*nap, lastNap) {
		fd, err := b.tryLock(file, create)
		waited := time.Duration(0)
		if !started.IsZero() {
			waited = time.Since(started)
		} else {
			started = time.Now()
		}
		switch {
		case err == nil && fd >= 0:
			return fd, nil
		case errors.Is(err, unix.ENOENT) && !create:
			return -1, errMissing
		// Another user has just made this file and is about to open it to others.
		case errors.Is(err, unix.EACCES) && b.dir.shared && waited < settling:
		case err != nil:
			return -1, failed("open", b.dir.join(file), err)
		case waited > busy:
			return -1, backends.Unavailable(name, fmt.Errorf("%s has been locked for %v: is a process stopped?", b.dir.join(file), busy))
		}
		if err := b.nap(ctx, nap/2+rand.N(nap)); err != nil {
			return -1, err
		}
	}
}

// nap waits for d, the context or Close, whichever is first.
func (b *Backend) nap(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return backends.Interrupted(ctx, name)
	case <-b.closing:
		return backends.ErrClosed
	}
}

// tryLock returns -1 and no error if the record is busy, or was made or
// unlinked in the meantime.
func (b *Backend) tryLock(file string, create bool) (int, error) {
	fd, err := b.dir.open(file, unix.O_RDWR)
	if errors.Is(err, unix.ENOENT) && create {
		if fd, err = b.dir.create(file); errors.Is(err, unix.EEXIST) {
			return -1, nil
		}
	}
	if err != nil {
		return -1, err
	}
	locked, err := tryFlock(fd, unix.LOCK_EX)
	if err != nil || !locked {
		unix.Close(fd)
		return -1, err
	}
	// A lock on an inode that has lost its name excludes nobody: the next caller
	// makes another file under that name and locks that.
	if same, err := b.dir.names(file, fd); err != nil || !same {
		unlock(fd)
		return -1, err
	}
	return fd, nil
}

// load reads the record of a key; a blank file is a new one.
func (b *Backend) load(fd int, key string) (*record, error) {
	r, err := b.read(fd)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return &record{key: key}, nil
	case r.key != key:
		return nil, fmt.Errorf("it is the record of another key, %q", r.key)
	}
	return r, nil
}

// unreadable is the error for a record that can't be read: its key is not granted.
// It says what to do.
func (b *Backend) unreadable(file string, err error) error {
	return backends.Refused(name, b.dir.join(file)+" is not a readable record; remove it if nobody holds its key", err)
}
