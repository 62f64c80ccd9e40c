//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheDefaultDirectoryIsTheUsersWhateverTheEnvironment(t *testing.T) {
	t.Setenv("HOME", "/nowhere")
	t.Setenv("TMPDIR", "/nowhere")
	t.Setenv("XDG_RUNTIME_DIR", "/nowhere")
	if got, want := defaultBackend(), "file:///var/tmp/turnstile-"+strconv.Itoa(os.Getuid()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// defaultState starts a turnstile as a caller with this environment and no more
// would, but for the place of /var/tmp.
func defaultState(t *testing.T, parent string, env []string, args ...string) (out string, code int) {
	t.Helper()
	path, err := exec.LookPath("turnstile")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(env, stateParentEnv+"="+parent)
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// cron starts its commands with next to nothing, sudo with root's variables; a login
// shell has a terminal and directories of its own.
func TestCronAndLoginShellsExcludeEachOther(t *testing.T) {
	t.Parallel()
	path := "PATH=" + os.Getenv("PATH")
	cron := []string{path}
	login := []string{path, "HOME=" + t.TempDir(), "TERM=xterm", "TMPDIR=" + t.TempDir(), "XDG_RUNTIME_DIR=" + t.TempDir(), "USER=somebody", "SHELL=/bin/sh"}
	for name, c := range map[string]struct{ outer, inner []string }{
		"a login shell under cron": {cron, login}, "cron under a login shell": {login, cron},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			inner := []string{"run", "k", "--", "env", "-i", stateParentEnv + "=" + parent}
			inner = append(append(inner, c.inner...), "turnstile", "run", "-n", "k", "--", "echo", "both")
			if out, code := defaultState(t, parent, c.outer, inner...); code != exitConflict || strings.Contains(out, "both") {
				t.Errorf("exit code %d, want %d: %s", code, exitConflict, out)
			}
			made, err := os.Stat(filepath.Join(parent, "turnstile-"+strconv.Itoa(os.Getuid())))
			if err != nil || made.Mode().Perm() != 0o700 {
				t.Errorf("the directory: %v, %v", made, err)
			}
		})
	}
}

// Anybody may put something at the default directory's name first.
func TestAStateDirectoryThatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"a link": {func(path string) error {
			if err := os.Mkdir(path+"-real", 0o700); err != nil {
				return err
			}
			return os.Symlink(path+"-real", path)
		}, "is a link, which could be made to point elsewhere: name the directory itself"},
		"a file": {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "not a directory"},
		"writable by others": {func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chmod(path, 0o777|os.ModeSticky) // a directory that was named may be so, the default one may not
		}, "is writable by others (mode 1777)"},
		"somebody else's": {func(path string) error {
			if os.Geteuid() != 0 { // only root can give a directory away, or need not fear root's
				return os.Symlink("/", path)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chown(path, 54321, -1)
		}, map[bool]string{true: "belongs to user 54321", false: "is a link"}[os.Geteuid() == 0]},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			path := filepath.Join(parent, "turnstile-"+strconv.Itoa(os.Getuid()))
			if err := c.put(path); err != nil {
				t.Fatal(err)
			}
			out, code := defaultState(t, parent, []string{"PATH=" + os.Getenv("PATH")}, "run", "k", "--", "echo", "ran")
			if code != exitUnavailable || !strings.Contains(out, path) || !strings.Contains(out, c.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("exit code %d, want %d: %s", code, exitUnavailable, out)
			}
		})
	}
}
