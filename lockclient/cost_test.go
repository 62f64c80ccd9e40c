package lockclient

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/turnstile-go/turnstile/actors"
)

// once opens a client, takes and releases a lock, and closes it.
func once(tb testing.TB, cfg Config) weak.Pointer[actors.Coordinator] {
	c, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	lock, err := c.Acquire(tb.Context(), "k")
	if err != nil {
		tb.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		tb.Error(err)
	}
	if err := c.Close(); err != nil {
		tb.Error(err)
	}
	return weak.Make(c.coordinator)
}

// allocated is how much this process has allocated so far, in bytes.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// A client costs no actor system of its own.
func TestAClientCostsLittle(t *testing.T) {
	const clients = 100
	for _, row := range []struct {
		name string
		cost func(tb testing.TB)
	}{
		{"open and close", func(tb testing.TB) {
			c, err := Open(Config{Backend: "embedded://" + t.Name()})
			if err != nil {
				tb.Fatal(err)
			}
			if err := c.Close(); err != nil {
				tb.Error(err)
			}
		}},
		{"open, lock, release and close", func(tb testing.TB) { once(tb, Config{Backend: "embedded://" + t.Name()}) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.cost(t) // once for what the process makes once
			before := allocated()
			for range clients {
				row.cost(t)
			}
			if each := (allocated() - before) / clients; each > 100_000 {
				t.Errorf("a client allocates %d bytes, want at most 100 000", each)
			}
		})
	}
}

// Nothing of a client that was closed stays reachable, nor of its store: one
// collection frees them all. (A second would free what pools alone know of.) The
// other backends' drivers have goroutines that end a little later.
func TestAClosedClientIsCollected(t *testing.T) {
	for _, b := range exclusiveBackends[:2] {
		t.Run(b.name, func(t *testing.T) {
			const clients = 40
			url := b.open(t)
			left := clients
			for try := 0; try < 5 && left > clients/4; try++ { // a stack that is used again may still name some
				var closed [clients]weak.Pointer[actors.Coordinator]
				var wg sync.WaitGroup
				for i := range closed {
					wg.Go(func() { closed[i] = once(t, Config{Backend: url}) }) // a stack of its own, which ends
				}
				wg.Wait()
				runtime.GC()
				left = 0
				for _, c := range closed {
					if c.Value() != nil {
						left++
					}
				}
			}
			if left > clients/4 {
				t.Errorf("%d of %d closed clients are still there after a collection, each time", left, clients)
			}
		})
	}
}

// Sixteen goroutines that open a client for each piece of work leave nothing behind.
func TestManyClientsLeaveTheHeapFlat(t *testing.T) {
	const goroutines, each = 16, 250
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	cfg := Config{Backend: "embedded://" + t.Name()}
	once(t, cfg)
	before := live()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				once(t, cfg)
			}
		})
	}
	wg.Wait()
	const most = 4 << 20 // tests beside this one allocate as well
	if after := live(); after > before+most {
		t.Errorf("%d clients left %d KB behind", goroutines*each, (after-before)>>10)
	}
}

// BenchmarkOpenClose is what a program pays that opens a client for each request: the
// store is there for others, or made for it.
func BenchmarkOpenClose(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
			cfg := Config{Backend: "embedded://" + b.Name()}
			if shared {
				c, err := Open(cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
			}
			b.ReportAllocs()
			for b.Loop() {
				once(b, cfg)
			}
		})
	}
}
