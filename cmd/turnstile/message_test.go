package main

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// Errors quote what a server says, and warnings who holds a key.
func TestNoMessageActsOnTheTerminal(t *testing.T) {
	const said, shown = "ERR \x1b]0;owned\a \u009b2J \x9b \u202e\t", `ERR \x1b]0;owned\a \u009b2J \x9b \u202e\t`
	if got := oneLine(errors.New(said)); got != "turnstile: "+shown {
		t.Errorf("%q", got)
	}
	var out strings.Builder
	newLogger(&out, slog.LevelWarn).Warn(said)
	if got := out.String(); got != "turnstile: warning: "+shown+"\n" {
		t.Errorf("%q", got)
	}
	const plain = `"k" is held by ünï, 世界 \ "x"`
	if got := oneLine(errors.New(plain)); got != "turnstile: "+plain {
		t.Errorf("%q", got)
	}
}

func TestAnOutputThatCannotBeWrittenIsNoUsageError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		if full, err = os.Open(os.DevNull); err != nil { // not Linux: one that is not open for writing
			t.Fatal(err)
		}
	}
	defer full.Close()
	for _, command := range []string{"ls", "show k", "version", "--version", "version -o json", "--help", "help", "run --help", "help bench", "completion bash", "completion zsh", "completion fish", "completion powershell", "release k --force --yes"} {
		var said strings.Builder
		args := append(strings.Fields("turnstile --backend file:///nothing.there"), strings.Fields(command)...)
		if code := start(args, full, &said); code != exitOutput || strings.Count(said.String(), "\n") != 1 {
			t.Errorf("%s: %d, %s", command, code, said.String())
		}
	}
}
