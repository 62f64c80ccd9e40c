//go:build !unix

package bench

import (
	"errors"
	"time"
)

// mapShared has no counterpart here: a run is one process.
func mapShared(string, int) ([]byte, error) {
	return nil, errors.New("bench: several processes can't be measured on this system")
}

// maxOpenFiles is not told here.
func maxOpenFiles() int { return 0 }

// systemNow is any clock, as no other process looks at it.
func systemNow() int64 { return time.Now().UnixNano() }
