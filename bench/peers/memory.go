package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A footprint is the memory that a thing takes, measured in a process of its own.
type footprint struct {
	title string
	n     int     // how many there are
	each  bool    // bytes of one, not of all
	goal  float64 // bytes at most
	fill  func(n int) (release func(), err error)
}

// footprints are the goals that are about memory.
var footprints = map[string]footprint{
	"keys":    {"a live key, embedded", 200_000, true, 1.5 * (1 << 10), liveKeys},
	"waiters": {"100 000 waiters on one key", 100_000, false, 450e6, waiters},
	"bare":    {"100 000 goroutines that wait for a channel", 100_000, false, 0, bareGoroutines},
}

func memoryNames() []string { return slices.Sorted(maps.Keys(footprints)) }

// printMemory measures one footprint in this process, which has nothing else to do.
func printMemory(name string, w io.Writer) error {
	f, ok := footprints[name]
	if !ok {
		return fmt.Errorf("no such memory: %q; there are %s", name, strings.Join(memoryNames(), ", "))
	}
	before := inUse()
	release, err := f.fill(f.n)
	if err != nil {
		return err
	}
	taken := float64(inUse()) - float64(before)
	release()
	if f.each {
		taken /= float64(f.n)
	}
	_, err = fmt.Fprintf(w, "%.0f\n", taken)
	return err
}

// inUse is the heap and the stacks, when all garbage is gone.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // frees the memory that finalizers and pools released at the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// writeMemory measures each footprint in a process of its own.
func writeMemory(w io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nmemory") // a Builder takes everything
	for _, name := range memoryNames() {
		f := footprints[name]
		out, err := exec.Command(self, "-memory", name).Output()
		if err != nil {
			return fmt.Errorf("memory of %s: %w", name, err)
		}
		taken, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("  %s: %s", f.title, bytesText(taken))
		if f.goal > 0 {
			word := "met"
			if taken > f.goal {
				word = "short"
			}
			line += fmt.Sprintf(", to reach ≤ %s: %s", bytesText(f.goal), word)
		}
		fmt.Fprintln(w, line) // a Builder takes everything
	}
	return nil
}

func bytesText(v float64) string {
	if v >= 1e6 {
		return fmt.Sprintf("%.0f MB", v/1e6)
	}
	return fmt.Sprintf("%.0f bytes", v)
}

// liveKeys are keys that are held: an actor each, a lease, and the keyspace behind.
func liveKeys(n int) (func(), error) {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://memory"})
	if err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := client.Acquire(context.Background(), "key:"+strconv.Itoa(i), lockclient.Expires(lockclient.MaxExpires)); err != nil {
			return nil, err
		}
	}
	return func() { _ = client.Close() }, nil // the process ends
}

func waiters(n int) (func(), error) {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://memory", MaxWaiters: lockclient.MaxMaxWaiters})
	if err != nil {
		return nil, err
	}
	held, err := client.Acquire(context.Background(), "key", lockclient.Renew())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var left sync.WaitGroup
	for range n {
		left.Go(func() { // ends with ctx
			if _, err := client.Acquire(ctx, "key", lockclient.Timeout(lockclient.MaxExpires)); !errors.Is(err, context.Canceled) {
				panic(fmt.Sprintf("a waiter ended by itself: %v", err))
			}
		})
	}
	for client.Stats().Waiters < int64(n) {
		runtime.Gosched()
	}
	return func() {
		cancel()
		left.Wait()
		_ = held.Release()
		_ = client.Close() // the process ends
	}, nil
}

func bareGoroutines(n int) (func(), error) {
	end := make(chan struct{})
	var begun, left sync.WaitGroup
	begun.Add(n)
	for range n {
		left.Go(func() { // ends with the channel
			begun.Done()
			<-end
		})
	}
	begun.Wait()
	return func() { close(end); left.Wait() }, nil
}
