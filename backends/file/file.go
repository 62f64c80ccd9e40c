//go:build linux || darwin

package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

const name = "file"

// A Backend is one session on a directory of leases.
type Backend struct {
	// Immutable after Open.
	dir     directory
	session *session // nil: opened for reading
	marks   marks
	clock   clock
	closing chan struct{} // closed by Close: calls that wait for a record give up

	settled settled
	sweeper sweeper
	watcher watcher

	// life is held for reading by every verb and for writing by Close, so that
	// no descriptor is closed, and its number given away, under a call.
	life    sync.RWMutex
	guarded atomic.Bool // the directory's flock is ours
	closed  bool        // protected by life
	once    sync.Once   // closes closing
}

var (
	_ backends.Backend   = (*Backend)(nil)
	_ backends.Sharer    = (*Backend)(nil)
	_ backends.Canceler  = (*Backend)(nil)
	_ backends.Inspector = (*Backend)(nil)
	_ backends.Describer = (*Backend)(nil)
	_ backends.Lister    = (*Backend)(nil)
	_ backends.Revoker   = (*Backend)(nil)
	_ backends.Waker     = (*Backend)(nil)
)

type options struct{ shared, reading bool }

// An Option changes how Open treats the directory.
type Option func(*options)

// Shared allows a directory that several users work in: see Open.
func Shared() Option { return func(o *options) { o.shared = true } }

// Reading opens a directory for Inspect and List alone: it needs no more than the
// right to read there. The directory must exist. Root may read any directory. With
// Shared, anybody may read a directory that they have access to.
func Reading() Option { return func(o *options) { o.reading = true } }

// Open starts a session in dir, which is created with mode 0700 if it is
// missing (its parent must exist).
//
// dir must be a directory and no link. Unless Shared is given it must belong
// to the caller and be writable by nobody else. That is what a well-known
// path such as /var/tmp/turnstile-UID needs, where anybody could have put
// something first.
//
// With Shared, for a directory that the user named, it may belong to root as
// well, and be writable by its group, or by all if it is sticky: without the
// sticky bit anyone could unlink another's lease. Files take their access from
// the directory's mode. Whoever may write there can also break its locks.
func Open(dir string, opts ...Option) (*Backend, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	d, err := openDirectory(dir, o)
	if err != nil {
		return nil, err
	}
	b := &Backend{dir: d, clock: newClock(), closing: make(chan struct{})}
	if o.reading {
		b.marks = marks{fd: d.fd, on: true} // of others
		return b, nil
	}
	if b.session, err = newSession(d); err != nil {
		d.file.Close()
		return nil, err
	}
	if b.marks, err = newMarks(d, b.session.name); err != nil {
		return nil, errors.Join(err, b.session.end(d), d.file.Close())
	}
	b.watcher.held, b.watcher.waiting = make(map[string]holding), make(map[string]turn)
	b.keepCleanersOut()
	b.sweep()
	return b, nil
}

// Capabilities says what a directory can do: all but push. It declares no wakes:
// Subscribe gets hints, and nobody can rely on one.
func (b *Backend) Capabilities() backends.Capabilities {
	return backends.Capabilities{Name: name, Exclusive: true, Fair: true, Fences: true, Inspects: true, Reasons: true, Rests: true, Kinds: true}
}

// SessionFile is the open file through which this session shows that it lives: the
// directory, or where that can't be marked the session's own file. A child process
// that is given it (exec.Cmd.ExtraFiles) keeps this session's leases alive until the
// child, too, has closed it. A guard passes it on, so that a lease outlives the
// guard for as long as the work goes on. Leases still end at their time, and Close
// ends them even if a child has a copy. The file belongs to the backend; don't close
// it. It is nil for a backend that was opened for reading.
func (b *Backend) SessionFile() *os.File {
	switch {
	case b.session == nil:
		return nil
	case b.marks.on:
		return b.dir.file
	}
	return b.session.file
}

// Close ends the session: its leases and places in queues are free at once.
func (b *Backend) Close() error {
	b.once.Do(func() { close(b.closing) })
	b.life.Lock()
	defer b.life.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.watcher.close() // it looks at the session file, which is closed next
	b.sweeper.close()
	if b.session == nil {
		return b.dir.file.Close()
	}
	err := b.session.end(b.dir)
	b.marks.end()
	_ = unix.Flock(b.dir.fd, unix.LOCK_UN) // a child may have a copy
	return errors.Join(err, b.dir.file.Close())
}

// enter begins a verb; leave must be called when err is nil.
func (b *Backend) enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, backends.Interrupted(ctx, name)
	}
	b.life.RLock()
	if b.closed {
		b.life.RUnlock()
		return nil, backends.ErrClosed
	}
	return b.life.RUnlock, nil
}

// begin begins a verb that changes something, as enter does.
func (b *Backend) begin(ctx context.Context) (leave func(), err error) {
	if b.session == nil {
		return nil, backends.Refused(name, b.dir.path+" was opened for reading", fs.ErrPermission)
	}
	return b.enter(ctx)
}

// keepCleanersOut holds a flock on the directory for as long as the session lives,
// as systemd-tmpfiles asks for: see tmpfiles.d(5). A cleaner that is at work has the
// flock itself; then the next acquire tries again.
func (b *Backend) keepCleanersOut() {
	if !b.guarded.Load() {
		locked, _ := tryFlock(b.dir.fd, unix.LOCK_SH)
		b.guarded.Store(locked)
	}
}

// present makes sure that others can see this session before it is given anything.
func (b *Backend) present() error {
	if b.dir.moved() {
		return backends.Refused(name, b.dir.path+" was removed or renamed; open the backend again", fs.ErrNotExist)
	}
	b.keepCleanersOut()
	if err := b.restore(); err != nil && !b.marks.on {
		return failed("replace", b.dir.join(b.session.name), err) // a lease in its name would exclude nobody
	}
	return nil
}

// failed tells errors that pass (a full disk, no descriptor left) from those
// that stay until somebody mends the directory, or this process's limits.
func failed(doing, path string, err error) error {
	err = &os.PathError{Op: doing, Path: path, Err: err}
	if errors.Is(err, unix.EFBIG) {
		return backends.Refused(name, "raise the limit of a file's size (ulimit -f, LimitFSIZE=): a key takes 8 KiB", err)
	}
	for _, lasting := range []unix.Errno{unix.EACCES, unix.EPERM, unix.EROFS, unix.ELOOP, unix.ENOTDIR, unix.EISDIR} {
		if errors.Is(err, lasting) {
			return backends.Refused(name, "check the directory and its owner", err)
		}
	}
	return backends.Unavailable(name, err)
}
