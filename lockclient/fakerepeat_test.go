package lockclient

import (
	"slices"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

var _ backends.Repeater = (*pusher)(nil)

func (p *pusher) Repeats(number func(key string, attempt uint64, alive time.Duration) uint64) {
	p.number = number
}

// A repetition is that of a call, sent and not yet there.
type repetition struct {
	of    backends.Attempt
	ask   uint64
	alive time.Duration
}

// repeats sends a repetition of an attempt's newest call, if the client still wants it.
func (p *pusher) repeats(a backends.Attempt, alive time.Duration) repetition {
	return repetition{a, p.number(a.Key, a.Token.Attempt(), alive), alive}
}

// arrives has a repetition do its work at the store. It adds nobody to a queue.
func (r repetition) arrives(s *store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.waiting[r.of.Key]
	if i := slices.IndexFunc(line, func(p place) bool { return p.token == r.of.Token }); i >= 0 && r.ask != 0 {
		line[i].ask, line[i].alive, line[i].until = r.ask, r.alive, time.Now().Add(r.alive)
	}
}

// repeatsSoon repeats a call that was answered "held", by chance: soon, or when a later one is there.
func (p *pusher) repeatsSoon(r backends.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.number == nil || p.rng.IntN(100) >= p.faults.repeated {
		return
	}
	sent, alive := time.Duration(p.rng.IntN(400))*time.Millisecond, time.Second+time.Duration(p.rng.IntN(2000))*time.Millisecond
	after := time.Duration(p.rng.IntN(1000)) * time.Microsecond
	if p.rng.IntN(100) < p.faults.late {
		after = time.Duration(p.rng.IntN(1500)) * time.Millisecond
	}
	time.AfterFunc(sent, func() {
		on := p.repeats(r.Attempt, alive)
		time.AfterFunc(after, func() { on.arrives(p.store) })
	})
}
