//go:build !cgo && (amd64 || arm64)

package inherited

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	_ "unsafe" // for linkname
)

// The runtime asks for and sets the action of a signal through _cgo_sigaction, if
// there is one; if that answers EINVAL, the runtime makes the system call itself.
// With cgo the function is libc's sigaction; here it is ours, which notes the
// ignored signals and leaves the rest to the runtime. (Other projects set the
// variable too, and the runtime keeps it for them: see go.dev/issue/67401. If it
// went, nothing would be noted, and the tests would fail.)

//go:linkname turnstile_sigaction turnstile_sigaction
var turnstile_sigaction byte // a function in assembly, called as C's are

//go:linkname _cgo_sigaction _cgo_sigaction
var _cgo_sigaction = &turnstile_sigaction

// asked has bit n-1 set for each signal n that was ignored when the runtime asked.
var asked uint64

// atStart is asked before os/signal has made the runtime ask again, for signals that
// we have ignored ourselves.
var atStart = asked | untouched()

// untouched has the signals that are still ignored: the runtime does not ask for those
// of the terminal, and does not change them.
func untouched() (mask uint64) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "SigIgn:"); ok {
			mask, _ = strconv.ParseUint(strings.TrimSpace(rest), 16, 64) // 0 if it is no number
		}
	}
	return mask
}

// ignored has bit n-1 set for each signal n that was ignored at the start.
func ignored() uint64 { return atStart }
