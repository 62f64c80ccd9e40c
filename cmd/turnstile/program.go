package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// find looks the command up before the key is acquired. A relative match through
// the caller's own PATH is taken, as every shell does.
func (p *plan) find() error {
	path, err := lookPath(p.argv[0])
	if err != nil && strings.HasPrefix(p.argv[0], "-") { // flock(1) has its -c behind the file
		err = fmt.Errorf("%w; flags of turnstile go before KEY", err)
	}
	switch {
	case err == nil || errors.Is(err, exec.ErrDot):
		p.path = path
		return nil
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return &exitError{code: exitNotFound, err: err}
	}
	return &exitError{code: exitCannotRun, err: err}
}

// lookPath is exec.LookPath, but for an environment without a PATH (env -i): then it
// looks where execvp(3) does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if _, set := os.LookupEnv("PATH"); err == nil || set || !errors.Is(err, exec.ErrNotFound) || strings.Contains(name, "/") {
		return path, err
	}
	for _, dir := range []string{"/bin/", "/usr/bin/"} {
		if path, e := exec.LookPath(dir + name); e == nil {
			return path, nil
		}
	}
	return "", err
}

// asScript is how execvp(3) runs a file that the kernel takes for no program: a shell
// script whose first line does not name its interpreter.
func asScript(path string, argv []string) []string {
	if !strings.Contains(path, "/") {
		path = "./" + path // not a flag of the shell, and not looked up in PATH
	}
	return append([]string{"/bin/sh", path}, argv[1:]...)
}

// startError returns the error of a command that was found but could not be run.
func startError(name, path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: exitCannotRun, err: fmt.Errorf("%s: %w", name, err)}
	}
	// The kernel means the file that the first line names, if it names one; or the
	// command was removed while we waited.
	interpreter := interpreterOf(path)
	switch {
	case strings.HasSuffix(interpreter, "\r"):
		err = reword(err, "its first line ends in CR LF, so that no such interpreter exists: save it with LF line ends")
	case interpreter != "":
		err = reword(err, fmt.Sprintf("its first line names an interpreter that does not exist: %s", printable(interpreter)))
	}
	return &exitError{code: exitNotFound, err: fmt.Errorf("%s: %w", name, err)}
}

// interpreterOf returns the program that a script's first line names, with the CR
// that may be at its end; "" if the line names none.
func interpreterOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 256 // the kernel reads no more
	line, _ := bufio.NewReaderSize(f, most).ReadSlice('\n')
	rest, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return ""
	}
	rest = strings.Trim(rest, " \t\n")
	if end := strings.IndexAny(rest, " \t"); end >= 0 {
		rest = rest[:end] // the rest is its argument
	}
	return rest
}
