//go:build linux || darwin

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// Whatever it is given, the command has: no copying, no buffers of ours.
func TestStandardStreamsAreTheCommands(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	run := func(shell string, in []byte) ([]byte, error) {
		cmd := exec.Command("sh", "-c", shell)
		cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+backend)
		if in != nil {
			cmd.Stdin = bytes.NewReader(in)
		}
		return cmd.Output()
	}
	binary := make([]byte, 8<<20) // more than a pipe holds
	for i := range binary {
		binary[i] = byte(i * i >> 8)
	}
	if out, err := run("turnstile run k -- cat | cat", binary); err != nil || !bytes.Equal(out, binary) {
		t.Errorf("a big pipe: %d of %d bytes, or others, %v", len(out), len(binary), err)
	}
	if out, err := run("turnstile run k -- sh -c 'cat; echo end' <&-", nil); err != nil || string(out) != "end\n" {
		t.Errorf("a closed stdin: %q, %v", out, err)
	}
	if out, err := run("turnstile run k -- sh -c 'exit 3' >&- 2>&-", nil); exitCodeOf(err) != 3 {
		t.Errorf("closed outputs: %q, %v", out, err)
	}
	// Whoever reads goes away: the command is told, as without turnstile.
	if out, err := run("{ turnstile run k -- yes; echo $? >&2; } 2>&1 >/dev/full | head -n 1 >/dev/null; turnstile run k -- yes | head -n 1", nil); err != nil || string(out) != "y\n" {
		t.Errorf("a reader that leaves: %q, %v", out, err)
	}
}

func exitCodeOf(err error) int {
	var status *exec.ExitError
	if errors.As(err, &status) {
		return status.ExitCode()
	}
	return 0
}
