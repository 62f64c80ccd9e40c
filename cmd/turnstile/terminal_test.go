//go:build linux || darwin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnInteractiveShellWorks(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- bash --norc --noediting -i\r")
	s.press("PS1='inner> '; echo $((40 + 2)) $TURNSTILE_KEY; tty\r")
	s.expect("42 k\r\n/dev/")
	const job = "sh -c 'echo run''ning; read x; echo go''t=$x'\r"
	s.press(job)
	s.expect("running\r\n")
	s.press(ctrlC) // its own job control has the terminal
	s.expect("inner> ")
	s.press(job)
	s.expect("running\r\n")
	s.press(ctrlZ)
	s.expect("Stopped")
	s.expect("inner> ")
	s.press("fg\r")
	s.press("word\r")
	s.expect("got=word\r\n")
	s.press("exit 7\r")
	s.expect("ready> ")
	s.press("echo code=$?\r")
	s.expect("code=7\r\n")
}

func TestAnEditorWorks(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	name := filepath.Join(t.TempDir(), "text")
	s.press("turnstile run k -- vi -u NONE " + name + "; echo code=$?\r")
	s.expect("~")
	s.press("ihello from vi" + escape)
	s.press(":wq\r")
	s.expect("code=0\r\n")
	if got, err := os.ReadFile(name); string(got) != "hello from vi\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// In a pipeline the foreground belongs to all of it, and less reads its keys from
// the terminal while turnstile does not lead the group.
func TestAPagerBehindTurnstileWorks(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- seq 1 100000 | less\r")
	s.expect("23\r\n")
	s.press("G")
	s.expect("100000")
	s.press("q")
	s.expect("ready> ")
	// And one that leads it, before a turnstile that does not.
	s.press("seq 1 3 | turnstile run k -- cat | tr 123 abc\r")
	s.expect("a\r\nb\r\nc\r\n")
	s.expect("ready> ")
}

// A pager under turnstile leads nothing before it, and reads keys all the same.
func TestAPagerUnderTurnstileWorks(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte(strings.Repeat("line\n", 100)+"the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.press("turnstile run k -- less " + name + "\r")
	s.expect("line\r\n")
	s.press("G")
	s.expect("the end")
	s.press("q")
	s.expect("ready> ")
}

// script puts a program for bash into a file: what is typed shows on the screen,
// and would be taken for what it prints. In dash, Ctrl-Z can meet the moment between
// a vfork and its exec; then it waits for good for a child that is stopped.
func script(t *testing.T, text string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// counting counts what reaches it, and ends with 9 by QUIT. It starts no child: bash
// takes an INT that comes while a child ends for the child's.
const counting = `
trap 'i=$((i + 1)); echo INT $i' INT
trap 'echo TERM' TERM
trap 'exit 9' QUIT
exec 9<> <(:) # a pipe that nobody writes to
echo pid $$.
while :; do read -rt 0.05 -u 9; done`

// pid is the command's, which it prints.
func (s *screen) pid() int {
	s.t.Helper()
	s.expect("pid ")
	from := s.seen
	s.expect(".")
	pid, err := strconv.Atoi(s.text.String()[from : s.seen-1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// The terminal signals the foreground group, which is the command's alone. A second
// Ctrl-C is the command's as well, and no reason to kill it: in an editor or a shell
// it is everyday.
func TestCtrlCReachesTheCommandAlone(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- bash " + script(t, counting) + "; echo code=$?\r")
	s.pid()
	for i := range 3 {
		s.press(ctrlC)
		s.expect("INT " + strconv.Itoa(i+1)) // and not twice as many, as if it had been passed on
	}
	s.press(ctrlBackslash)
	s.expect("code=9\r\n")
}

// In a pipeline the foreground group is turnstile's: it passes Ctrl-C on, and a
// second one ends a command that ignores the first.
func TestCtrlCInAPipelineIsPassedOn(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- bash " + script(t, counting) + " | (trap '' INT; cat); echo codes=${PIPESTATUS[@]}\r")
	s.pid()
	s.press(ctrlC)
	s.expect("INT 1")
	time.Sleep(impatience) // sooner, it would be the first once more
	s.press(ctrlC)
	s.expect("codes=137 0\r\n")
}

// What a person does about a command that ignores Ctrl-C: stop it, and kill the job.
func TestAJobThatIsKilledTwiceIsGone(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- bash " + script(t, counting) + "\r")
	pid := s.pid()
	s.press(ctrlZ)
	s.expect("Stopped")
	s.expect("ready> ")
	s.press("kill %1\r")
	s.expect("TERM")
	time.Sleep(impatience) // sooner, it would be the first once more
	turnstile := parent(pid)
	s.press("kill %1\r")
	// Not by bash's word: now and then it takes a job that it has continued for a stopped one.
	eventually(t, "turnstile is gone", func() bool { return !runs(turnstile) })
	if runs(pid) {
		t.Error("the command runs on")
	}
}

func TestCtrlCWhileWaitingLeavesAtOnce(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo held; exec sleep 600")
	holder.line(t)
	s := shell(t, backend)
	s.press("turnstile run -v k -- echo never; echo code=$?\r")
	s.expect("waiting key=k")
	s.press(ctrlC)
	s.expect("code=130\r\n")
}

// waitingFor ends with 4 when it is told to.
const waitingFor = `
echo pid $$.
until test -e "$0.end"; do sleep 0.01; done
exit 4`

// state is a process's, as ps shows it: T is stopped.
func state(pid int) string { return ps(pid, "state")[:1] }

// parent is a command's turnstile.
func parent(pid int) int {
	n, _ := strconv.Atoi(strings.TrimSpace(ps(pid, "ppid")))
	return n
}

func ps(pid int, column string) string {
	out, _ := exec.Command("ps", "-o", column+"=", "-p", strconv.Itoa(pid)).Output()
	return strings.TrimSpace(string(out)) + " "
}

func TestCtrlZAndFgBehave(t *testing.T) {
	t.Parallel()
	for _, sh := range []string{"bash", "dash"} {
		t.Run(sh, func(t *testing.T) {
			args := map[string][]string{"bash": {"--norc", "--noprofile", "--noediting", "-i"}, "dash": {"-i"}}
			s := openScreen(t, fileBackend(t), sh, args[sh]...)
			s.expect("ready> ")
			name := script(t, waitingFor)
			s.press("turnstile run k -- bash " + name + "\r")
			pid := s.pid()
			for range 2 {
				s.press(ctrlZ)
				s.expect("Stopped")
				s.expect("ready> ")
				if got := state(pid); got != "T" {
					t.Errorf("the shell says Stopped, and the command is in state %s", got)
				}
				s.press("fg; echo code=$?\r")
				eventually(t, "the command goes on", func() bool { return state(pid) != "T" })
			}
			if err := os.WriteFile(name+".end", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.expect("code=4\r\n")
		})
	}
}

// A process of the group that ignores Ctrl-Z would go on while turnstile is stopped
// and the hold runs out.
func TestCtrlZStopsTheWholeGroup(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	name := script(t, `
(trap '' TSTP; echo pid $BASHPID.; while :; do sleep 0.01; done) &
echo started
trap 'exit 9' QUIT
wait`)
	s.press("turnstile run k -- bash " + name + "; echo code=$?\r")
	pid := s.pid()
	defer syscall.Kill(pid, syscall.SIGKILL) // in the background of a script, it ignores QUIT
	s.press(ctrlZ)
	s.expect("Stopped")
	if got := state(pid); got != "T" {
		t.Errorf("the shell says Stopped, and a process of the group is in state %s", got)
	}
	s.expect("ready> ")
	s.press("fg\r")
	eventually(t, "the group goes on", func() bool { return state(pid) != "T" })
	s.press(ctrlBackslash)
	s.expect("ready> ")
}

// A shell's fg of a job that runs in the background moves the terminal and sends
// nothing. The command gets it all the same, and Ctrl-Z stops both: were turnstile
// stopped alone, nobody would renew the hold.
func TestBgAndFgBehave(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(s *screen, run string) int{
		"stopped first": func(s *screen, run string) int {
			s.press(run + "\r")
			pid := s.pid()
			s.press(ctrlZ)
			s.expect("Stopped")
			time.Sleep(2 * orphanPatience) // a person's stop lasts
			s.press("bg\r")
			return pid
		},
		"from the start": func(s *screen, run string) int {
			s.press(run + " &\r")
			return s.pid()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := shell(t, fileBackend(t))
			pid := begin(s, "turnstile run k -- bash "+script(t, counting))
			eventually(t, "the command goes on", func() bool { return state(pid) != "T" })
			s.press("echo in the shell\r") // which has the terminal
			s.expect("in the shell\r\n")
			s.press("fg\r")
			s.expect("turnstile run k")
			s.press(ctrlZ)
			s.expect("Stopped")
			if got := state(pid); got != "T" {
				t.Errorf("the shell says Stopped, and the command is in state %s", got)
			}
			s.press("fg; echo code=$?\r")
			eventually(t, "the command goes on", func() bool { return state(pid) != "T" })
			s.press(ctrlC)
			s.expect("INT 1")
			s.press(ctrlBackslash)
			s.expect("code=9\r\n")
		})
	}
}

// One that reads gets the keys, too.
func TestAJobThatReadsGetsTheKeysAfterFg(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("turnstile run k -- bash " + script(t, "echo pid $$.; read line; echo got=$line") + " &\r")
	pid := s.pid()
	eventually(t, "the job is stopped", func() bool { return state(pid) == "T" && state(parent(pid)) == "T" })
	eventually(t, "the shell says so", func() bool { // at a prompt, once the last thread has stopped
		s.press("\r")
		return strings.Contains(s.text.String()[s.seen:], "Stopped")
	})
	s.expect("Stopped")
	s.press("fg\r")
	s.expect("turnstile run k")
	s.press("hello\r")
	s.expect("got=hello\r\n")
	s.expect("ready> ") // nothing writes to the backend any more
}

// After fg the deadline is checked before the command goes on.
func TestAHoldThatEndedBehindCtrlZIsLostAfterFg(t *testing.T) {
	t.Parallel()
	backend := fileBackend(t)
	s := shell(t, backend)
	name := script(t, "echo pid $$.; sleep 600; echo went on")
	s.press("turnstile run --expires 1s k -- bash " + name + "\r")
	pid := s.pid()
	s.press(ctrlZ)
	s.expect("Stopped")
	next := launch(t, backend, "run", "k", "--", "echo", "next")
	if got := next.line(t); got != "next" {
		t.Fatal(got)
	}
	s.press("fg; echo code=$?\r")
	s.expect("was lost while the command ran")
	s.expect("code=76\r\n")
	if runs(pid) {
		t.Error("the command outlived its hold")
	}
	if strings.Contains(s.text.String(), "went on") {
		t.Error("the command went on after its hold had ended")
	}
}

// The other members of a pipeline stop and go on with turnstile and its command.
func TestCtrlZStopsAPipeline(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	name := script(t, waitingFor)
	s.press("set -o pipefail; turnstile run k -- bash " + name + " | cat\r")
	pid := s.pid()
	s.press(ctrlZ)
	s.expect("Stopped")
	eventually(t, "the command stops", func() bool { return state(pid) == "T" })
	s.press("fg; echo code=$?\r")
	eventually(t, "the command goes on", func() bool { return state(pid) != "T" })
	if err := os.WriteFile(name+".end", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect("code=4\r\n")
}

// As in a container with a terminal and no shell: nobody is there to say fg.
func TestWithoutAShellCtrlZStopsNothing(t *testing.T) {
	t.Parallel()
	s := openScreen(t, fileBackend(t), "turnstile", "run", "k", "--", "bash", script(t, counting))
	s.pid()
	s.press(ctrlZ)
	s.press(ctrlC)
	s.expect("INT 1")
	s.press(ctrlBackslash)
	if got := s.code(); got != 9 {
		t.Errorf("exit code %d, want 9", got)
	}
}

// A terminal that hangs up is told to the command.
func TestAHangupReachesTheCommand(t *testing.T) {
	t.Parallel()
	s := openScreen(t, fileBackend(t), "turnstile", "run", "k", "--", "bash",
		script(t, `trap 'exit 5' HUP; echo pid $$.; while :; do sleep 0.01; done`))
	s.pid()
	other := exec.Command("sleep", "600") // another test's, which must not keep the terminal open
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	s.term.Close()
	defer other.Wait() // it returns an error, as sleep is killed
	defer other.Process.Kill()
	if got := s.code(); got != 5 {
		t.Errorf("exit code %d, want 5", got)
	}
}

// An editor that was killed left the terminal without echo.
func TestTheTerminalIsMendedAfterACommandThatWasKilled(t *testing.T) {
	t.Parallel()
	s := shell(t, fileBackend(t))
	s.press("stty -a | grep -o '.echo ' ; turnstile run k -- bash " + script(t, `stty -echo -icanon; kill -KILL $$`) + "; stty -a | grep -o '.echo '\r")
	s.expect(" echo \r\n")
	s.expect(" echo \r\n")
}
