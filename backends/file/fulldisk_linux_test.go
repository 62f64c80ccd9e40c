package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turnstile-go/turnstile/backends"
)

// errNoMount: this machine lets nobody mount anything.
var errNoMount = errors.New("can't mount")

// TestAFullDiskEndsNoHold on a disk that is really full: a file system in memory,
// which a process of the test mounts in a namespace of its own. Where that is not
// allowed, TestAHoldTakesItsBlocksWhenItIsGranted has shown it by the blocks.
func TestAFullDiskEndsNoHold(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=full disk", dirVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	said, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) || string(said) == errNoMount.Error()+"\n" {
		t.Logf("shown by blocks alone: %s%v", said, err)
		return
	}
	if err != nil {
		t.Errorf("%s%v", said, err)
	}
}

// fillDisk is the process of that test.
func fillDisk(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return errNoMount
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		return errNoMount
	}
	b, err := Open(dir)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx := context.Background()
	var c, d claims
	r := c.request("k")
	reply, err := b.Acquire(ctx, r)
	if err != nil {
		return err
	}
	together := c.request("together")
	if _, err := b.Acquire(ctx, together); err != nil {
		return err
	}
	big, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		return err
	}
	defer big.Close()
	for err == nil {
		_, err = big.Write(make([]byte, 512))
	}
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	if reply, err := b.Acquire(ctx, d.request("another")); !errors.Is(err, unix.ENOSPC) || reply.Outcome != backends.NotRun {
		return fmt.Errorf("another key on a full disk: %v, %w", reply.Outcome, err)
	}
	if err := shareOnFullDisk(ctx, b, together); err != nil {
		return err
	}
	for range 5 {
		if reply, err = b.Renew(ctx, r.Attempt, time.Minute, reply.Base); err != nil {
			return err
		}
	}
	// A waiter has room in the record, or the holder would not learn of it.
	waiter := d.request("k")
	if reply, err := b.Acquire(ctx, waiter); err != nil || reply.Outcome != backends.Held || reply.Place != 1 {
		return fmt.Errorf("a waiter on a full disk: %+v, %w", reply, err)
	}
	if reply, err = b.Renew(ctx, r.Attempt, time.Minute, reply.Base); err != nil || !reply.Contended {
		return fmt.Errorf("renew beside a waiter: %+v, %w", reply, err)
	}
	if err := b.Release(ctx, r.Attempt); err != nil {
		return err
	}
	if reply, err = b.Acquire(ctx, waiter); err != nil || reply.Outcome != backends.Granted {
		return fmt.Errorf("the waiter's turn on a full disk: %+v, %w", reply, err)
	}
	return b.Release(ctx, waiter.Attempt)
}

// shareOnFullDisk has others join a lock's holder for as long as there is room in its record. All that are in go on.
func shareOnFullDisk(ctx context.Context, b *Backend, held backends.Request) error {
	var c claims
	held.Kind, held.N, held.Want = backends.Slots, 100, 3
	if reply, err := b.RenewShare(ctx, held, 0); err != nil || reply.Permits != 3 {
		return fmt.Errorf("a lock becomes %d permits, %w", reply.Permits, err)
	}
	all := []backends.Request{held}
	for {
		r := c.taker("together", 100, 1)
		reply, err := b.Acquire(ctx, r)
		if errors.Is(err, unix.ENOSPC) && reply.Outcome == backends.NotRun && len(all) > 5 {
			break
		}
		if err != nil || reply.Outcome != backends.Granted {
			return fmt.Errorf("share %d: %v, %w", len(all), reply.Outcome, err)
		}
		all = append(all, r)
	}
	for _, r := range all {
		r.Want = 1
		if reply, err := b.RenewShare(ctx, r, 0); err != nil || reply.Permits != 1 {
			return fmt.Errorf("a share on a full disk: %d permits, %w", reply.Permits, err)
		}
	}
	for _, r := range all {
		if err := b.Release(ctx, r.Attempt); err != nil {
			return err
		}
	}
	return nil
}
