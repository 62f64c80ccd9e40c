package embedded_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// BenchmarkPair is acquire and release of a free key, through the backend.
func BenchmarkPair(b *testing.B) {
	s := newSession(b, b.Name())
	b.ReportAllocs()
	for b.Loop() {
		r := s.request("pylock:bench", 10*time.Second, true)
		s.want(b, backends.Granted, r)
		if err := s.Release(b.Context(), r.Attempt); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPairManyKeys is the same on 10 000 keys from many goroutines.
func BenchmarkPairManyKeys(b *testing.B) {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("pylock:%d", i)
	}
	var next atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := newSession(b, b.Name())
		for pb.Next() {
			r := s.request(keys[next.Add(1)%uint64(len(keys))], 10*time.Second, true)
			s.want(b, backends.Granted, r)
			if err := s.Release(b.Context(), r.Attempt); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
