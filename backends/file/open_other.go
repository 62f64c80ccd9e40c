//go:build !linux && !darwin

package file

import (
	"fmt"
	"os"
	"runtime"

	"github.com/turnstile-go/turnstile/backends"
)

// A Backend can't be had on this system; the type is here so that programs
// compile. The embedded interface is never anything but nil.
type Backend struct{ backends.Backend }

// An Option changes how Open treats the directory.
type Option func()

// Shared is of no use on this system.
func Shared() Option { return func() {} }

// Reading is of no use on this system.
func Reading() Option { return func() {} }

// Open says that this system lacks what the backend is built on. The error
// matches ErrInvalid: another URL is needed, and waiting won't help.
func Open(string, ...Option) (*Backend, error) {
	return nil, fmt.Errorf("%w: file:// is built on flock(2) and works on Linux and macOS, not on %s", backends.ErrInvalid, runtime.GOOS)
}

// SessionFile returns nil on this system.
func (b *Backend) SessionFile() *os.File { return nil }
