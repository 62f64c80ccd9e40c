package actors

import (
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
)

// repeat numbers a repetition of a key's attempt by the backend: see backends.Repeater. The actor knows of it before it is
// sent, or at least before any push that comes later, since its mailbox keeps the order.
func (c *Coordinator) repeat(key string, attempt uint64, alive time.Duration) (ask uint64) {
	own, ok := strings.CutPrefix(key, c.cfg.Prefix)
	if !ok {
		return 0
	}
	e := c.directory.find(own)
	if e == nil {
		return 0
	}
	ask = c.machines.NextAsk()
	if !e.answer(repetition{&machine.Repeated{Attempt: attempt, Ask: ask, Alive: alive, Sent: c.clock.now()}}) {
		return 0 // the actor has retired
	}
	return ask
}
