//go:build linux || darwin

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/turnstile-go/turnstile/lockclient"
)

// closed closes a client that was opened for a test.
func closed(client *lockclient.Client, err error) error {
	if err != nil {
		return err
	}
	return client.Close()
}

// TestLookingLeavesADirectoryAsItIs: ls, show and the completion only read, while a
// release has to write.
func TestLookingLeavesADirectoryAsItIs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "locks")
	s := settings{backend: "file://" + dir, log: slog.New(slog.DiscardHandler)}
	holder, _, err := s.connect(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if _, err := holder.TryAcquire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.look()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if infos, err := client.List(t.Context()); err != nil || len(infos) != 1 {
		t.Errorf("list: %v, %v", infos, err)
	}
	if info, err := client.Inspect(t.Context(), "k"); err != nil || !info.Held {
		t.Errorf("inspect: held %t, %v", info.Held, err)
	}
	after, err := os.Stat(dir)
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the directory was written to: %v, %v", after.ModTime().Sub(before.ModTime()), err)
	}
	releaser, err := s.visit()
	if err != nil {
		t.Fatal(err)
	}
	defer releaser.Close()
	if found, err := releaser.Revoke(t.Context(), "k", lockclient.Revocation{}); err != nil || found != lockclient.Marked {
		t.Errorf("revoke: %v, %v", found, err)
	}
}
