package lockclient

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// BenchmarkLiveKey measures a key that is held: all its bytes, by embedded, and the
// client's own part, by open, where nothing is kept beside the hold and its actor.
//
//	go test ./lockclient -run - -bench LiveKey -benchtime 1000000x
func BenchmarkLiveKey(b *testing.B) {
	for _, name := range []string{"embedded", "open"} {
		b.Run(name, func(b *testing.B) {
			c := benchClient(b, name)
			locks := make([]*Lock, b.N)
			before := live()
			b.ReportAllocs()
			b.ResetTimer()
			holdAll(b, c, locks)
			b.StopTimer()
			b.ReportMetric(float64(live()-before)/float64(b.N), "live-B/key")
			releaseAll(b, locks)
		})
	}
}

// BenchmarkNewKey is acquire and release of a key that nobody had before, by one goroutine,
// beside so many keys that are held.
//
//	go test ./lockclient -run - -bench NewKey -benchtime 200000x -count 5
func BenchmarkNewKey(b *testing.B) {
	for _, beside := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprint(beside), func(b *testing.B) {
			c := benchClient(b, "embedded")
			locks := make([]*Lock, beside)
			holdAll(b, c, locks)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				lock, err := c.Acquire(b.Context(), "new"+strconv.Itoa(i))
				if err != nil {
					b.Fatal(err)
				}
				if err := lock.Release(); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			releaseAll(b, locks)
		})
	}
}

func benchClient(b *testing.B, name string) *Client {
	b.Helper()
	c, err := Open(Config{Backend: name + "://"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return c
}

func holdAll(b *testing.B, c *Client, locks []*Lock) {
	b.Helper()
	for i := range locks {
		lock, err := c.Acquire(b.Context(), "key"+strconv.Itoa(i), Expires(time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		locks[i] = lock
	}
}

func releaseAll(b *testing.B, locks []*Lock) {
	b.Helper()
	for _, lock := range locks {
		if err := lock.Release(); err != nil {
			b.Fatal(err)
		}
	}
}

// live is the memory in use, in bytes.
func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
