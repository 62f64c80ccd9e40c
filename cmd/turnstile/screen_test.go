//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A screen is a terminal with a program on it, and somebody who types.
type screen struct {
	t      *testing.T
	term   *os.File // the far end: what a terminal emulator holds
	text   *transcript
	seen   int // how much of the text was looked at
	exit   chan int
	failed sync.Once // to show the screen
}

// openScreen starts a program as a terminal emulator does: it leads a session
// whose controlling terminal this is.
func openScreen(t *testing.T, backend, name string, args ...string) *screen {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend, "TERM=xterm", "PS1=ready> ", "ENV=", "HISTFILE=", "LESS=", "LESSHISTFILE=-", "LC_ALL=C")
	term, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	// The descriptor is non-blocking, or it could not be closed during a read. It is
	// not inherited, or other tests' processes would keep the terminal open.
	fd, err := unix.FcntlInt(term.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	term.Close()
	if err != nil {
		t.Fatal(err)
	}
	term = os.NewFile(uintptr(fd), "terminal")
	s := &screen{t: t, term: term, text: new(transcript), exit: make(chan int, 1)}
	read := make(chan struct{})
	go func() { // ends when nobody has the terminal any more, or with Close below
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := term.Read(buf)
			_, _ = s.text.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { // ends with the program, which the cleanup makes sure of
		_ = cmd.Wait()
		s.exit <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		term.Close() // the kernel hangs up on whoever is left
		_ = cmd.Process.Kill()
		<-read
		s.exit <- <-s.exit // the goroutine above is over
	})
	return s
}

// shell starts an interactive bash, which has job control.
func shell(t *testing.T, backend string) *screen {
	t.Helper()
	s := openScreen(t, backend, "bash", "--norc", "--noprofile", "--noediting", "-i")
	s.expect("ready> ")
	return s
}

// press types. Lines end with \r, as from the Return key.
func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.term.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits until text shows after what was looked at before.
func (s *screen) expect(text string) {
	s.t.Helper()
	var at int
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.failed.Do(func() { s.t.Logf("the screen, looked at up to byte %d: %q", s.seen, s.text) })
		}
	})
	eventually(s.t, strconv.Quote(text)+" shows", func() bool {
		at = strings.Index(s.text.String()[s.seen:], text)
		return at >= 0
	})
	s.seen += at + len(text)
}

// code waits for the program's end.
func (s *screen) code() int {
	s.t.Helper()
	var code int
	eventually(s.t, "the program ends", func() bool {
		select {
		case code = <-s.exit:
			s.exit <- code
			return true
		default:
			return false
		}
	})
	return code
}

// The keys that the terminal makes signals of.
const (
	ctrlC         = "\x03"
	ctrlZ         = "\x1a"
	ctrlBackslash = "\x1c"
	escape        = "\x1b"
)
