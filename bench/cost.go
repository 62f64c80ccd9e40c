package bench

import (
	"context"
	"runtime"
	"time"
)

// A cost is what processors and the allocator have done up to one moment.
type cost struct {
	client  time.Duration // of this process, user and system
	server  time.Duration // of the server's, user and system
	mallocs uint64        // heap objects that this process has made
}

// readCost stops the world for a moment, so that it stands at the ends of what is
// measured and nowhere else.
func readCost(ctx context.Context, m commandMeter) (cost, error) {
	server, err := m.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{client: processorTime(), server: server, mallocs: memory.Mallocs}, nil
}

// costs relates what a run took to its holds. The driver's own part is in it: it is
// the same for all strategies, so that differences are theirs. Of several processes the
// contenders' are not this one's, and nothing is told.
func (m *Measured) costs(before, after cost) {
	r := &m.Run
	if r.Holds == 0 || r.Workload.Processes > 1 {
		return
	}
	per := func(total float64) *float64 {
		if total <= 0 {
			return nil // not known here
		}
		one := total / float64(r.Holds)
		return &one
	}
	r.ClientCPU = per((after.client - before.client).Seconds())
	r.ServerCPU = per((after.server - before.server).Seconds())
	r.Allocs = per(float64(after.mallocs - before.mallocs))
}
