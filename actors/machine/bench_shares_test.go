package machine

import (
	"fmt"
	"testing"
)

// BenchmarkManyShares is a step while so many slots are held that were taken one at a time, each by a share of its own.
func BenchmarkManyShares(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPlay()
			for i := range n {
				p.all(arrive(fmt.Sprint(i), slot(10000)), shared(), taken)
			}
			for b.Loop() {
				p.m.Step(Tick{}, p.now, nil)
			}
		})
	}
}
