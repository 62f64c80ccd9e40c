package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what `turnstile version` tells of the binary.
type build struct {
	Version  string `json:"version"`            // of the module; (devel) when built in its tree
	Commit   string `json:"commit,omitempty"`   // absent when it was not built from a checkout
	Modified bool   `json:"modified,omitempty"` // the checkout had changes of its own
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(o *options) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version",
		Args:              none("version"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return tellVersion(o, cmd) },
	}
}

func tellVersion(o *options, cmd *cobra.Command) error {
	s, err := o.resolveOutput(cmd) // version uses no backend
	if err != nil {
		return err
	}
	b := readBuild()
	if s.format == "json" {
		return writeJSON(s.stdout, b)
	}
	_, err = fmt.Fprintln(s.stdout, b)
	return err
}

// String is one line, like `turnstile (devel) 1a2b3c4d5e6f+changes go1.26.0 linux/amd64`.
func (b build) String() string {
	commit := "unknown-commit"
	if b.Commit != "" {
		commit = b.Commit[:min(12, len(b.Commit))]
	}
	if b.Modified {
		commit += "+changes"
	}
	return fmt.Sprintf("turnstile %s %s %s %s", b.Version, commit, b.Go, b.Platform)
}

// readBuild asks the binary itself, so that no linker flag has to be kept right.
func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
