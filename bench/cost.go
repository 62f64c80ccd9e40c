package bench

import (
	"context"
	"runtime"
	"time"
)

// A cost is the work of the processors and the allocator up to one moment.
type cost struct {
	client  time.Duration // of this process, user and system
	server  time.Duration // of the server's, user and system
	mallocs uint64        // heap objects that this process has made
}

// readCost stops the world for a moment, so it is called only at the two ends of a
// measurement.
func readCost(ctx context.Context, m commandMeter) (cost, error) {
	server, err := m.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{client: processorTime(), server: server, mallocs: memory.Mallocs}, nil
}

// costs divides the cost of a run by its holds. The driver's own part is included:
// it is the same for all strategies, so the differences are theirs. With several
// processes the contenders' cost is not in this process, and costs reports nothing.
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
