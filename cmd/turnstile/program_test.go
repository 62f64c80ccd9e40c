//go:build linux || darwin

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// env(1) calls execvp(3), which is right by definition.
func TestACommandIsFoundAndRunAsExecvpDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain": "echo \"$# $1 $2\"; exit 7\n", "empty": "", "-x": "exit 5\n",
		"proper": "#!/bin/sh\necho \"$# $1 $2\"; exit 6\n",
	} {
		// Another process writes it: a process that we start meanwhile would inherit
		// the file open for writing, and such a file can't be run.
		write := exec.Command("sh", "-c", `cat >"$0" && chmod 755 "$0"`, filepath.Join(dir, name))
		write.Stdin = strings.NewReader(text)
		if out, err := write.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	path := "PATH=" + dir
	for _, row := range []struct {
		env     []string
		command []string
	}{
		{[]string{path}, []string{"plain", "a b", "-c"}},
		{[]string{path}, []string{"./plain", "a b", "-c"}},
		{[]string{path}, []string{"proper", "a b", "-c"}},
		{[]string{path}, []string{"empty"}},
		{[]string{path}, []string{"./empty"}},
		{[]string{"PATH=."}, []string{"plain"}},
		{[]string{"PATH=."}, []string{"./-x"}},
		{[]string{"PATH=/nowhere"}, []string{"sh", "-c", "exit 3"}},
		{nil, []string{"sh", "-c", "exit 3"}},
		{nil, []string{"no-such-command"}},
	} {
		t.Run(strings.Join(append(row.env, row.command...), " "), func(t *testing.T) {
			t.Parallel()
			run := func(args ...string) (string, int) {
				cmd := exec.Command(args[0], append(args[1:], row.command...)...) // found by our own PATH
				cmd.Dir, cmd.Env = dir, append([]string{}, row.env...)
				var out bytes.Buffer
				cmd.Stdout = &out
				_ = cmd.Run()
				return out.String(), cmd.ProcessState.ExitCode()
			}
			turnstile, err := exec.LookPath("turnstile")
			if err != nil {
				t.Fatal(err)
			}
			wantOut, wantCode := run("env")
			if out, code := run(turnstile, "--backend", fileBackend(t), "run", "k", "--"); out != wantOut || code != wantCode {
				t.Errorf("%q, exit code %d; want %q, %d", out, code, wantOut, wantCode)
			}
		})
	}
}

func TestAScriptThatNamesNoInterpreterThereIsSaysSo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"#!/bin/sh\r\necho never\r\n":          "its first line ends in CR LF",
		"#!/bin/sh -e\r\necho never\r\n":       "", // the shell is there, and complains itself
		"#! /nowhere/python -u\necho never\n":  "an interpreter that does not exist: /nowhere/python",
		"#!/nowhere/python\r\necho never\r\n":  "its first line ends in CR LF",
		"#!/nowhere/python -u":                 "an interpreter that does not exist: /nowhere/python",
		"#!/nowhere/py\x1b[2Jthon\necho never": `an interpreter that does not exist: "/nowhere/py\x1b[2Jthon"`,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "script")
			write := exec.Command("sh", "-c", `cat >"$0" && chmod 755 "$0"`, name) // as above
			write.Stdin = strings.NewReader(text)
			if out, err := write.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			cmd := exec.Command("turnstile", "run", "k", "--", name)
			cmd.Env = append(os.Environ(), "TURNSTILE_BACKEND="+fileBackend(t))
			r := launchCmd(t, cmd)
			if want == "" {
				<-r.waited
				return
			}
			r.exit(t, exitNotFound)
			if got := r.stderr.String(); !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
