package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// delayed puts a proxy before the site's server that adds d to each request and
// its reply: half on the way there, half on the way back, so that a message which
// the server pushes takes half. What is in a pipeline is delayed together.
//
// The proxy is told by the millisecond, and its sleeps are good to the tick. What
// it adds in truth is measured and kept in the site.
func (s *site) delayed(kind string, d time.Duration) error {
	stop, err := startTick() // it serves the proxy, which sleeps in this process
	if err != nil {
		return err
	}
	s.defers(func() error { stop(); return nil })
	proxy, err := servers.StartProxy(s.place.Addr)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	s.defers(func() error { proxy.Cut(); return nil })
	there := (d / 2).Truncate(time.Millisecond)
	if err := proxy.Latency(there, d-there); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	direct := s.meter
	slowed, err := newMeter(context.Background(), kind, proxy.Addr)
	if err != nil {
		return err
	}
	without, err := roundTrip(direct)
	with, other := roundTrip(slowed)
	if err := errors.Join(err, other, slowed.close()); err != nil {
		return fmt.Errorf("bench: proxy: %w", err)
	}
	s.delay = with - without
	s.place.Addr = proxy.Addr
	return nil
}

const pings = 15

// roundTrip is the median of some.
func roundTrip(m commandMeter) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), meterTimeout)
	defer cancel()
	var times []time.Duration
	for range pings {
		began := time.Now()
		if err := m.ping(ctx); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
