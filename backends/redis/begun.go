package redis

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// lapseStep is how long after its deadline a started command may still wait to be told
// of it. It bounds how often the commands that are on their way are looked through: many
// of them have deadlines close together.
const lapseStep = 5 * time.Millisecond

// begun are the started commands of a batcher that wait or are on their way, but for
// those that their callers send alone. No goroutine waits for them, so somebody has to see
// to their deadlines: one timer does so for all of them. It is set for the earliest
// deadline, and left alone while commands come and go, as a timer for each would cost
// more than the rest of a call. So while the server answers it fires once in a budget, and
// finds next to nothing.
//
// It is protected by its batcher's mu.
type begun struct {
	first *command
	lapse *time.Timer
	at    time.Time // when lapse fires; zero: it is not set
}

func (l *begun) add(c *command) {
	if c.next = l.first; c.next != nil {
		c.next.prev = c
	}
	l.first = c
	if l.at.IsZero() || c.deadline.Before(l.at) {
		l.at = c.deadline
		l.lapse.Reset(time.Until(c.deadline))
	}
}

func (l *begun) remove(list []*command) {
	for _, c := range list {
		l.drop(c)
	}
}

func (l *begun) drop(c *command) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// over takes those out whose deadline has passed, and that nobody has settled, and sets
// the timer for the next.
func (l *begun) over(now time.Time) (list []lapsed) {
	l.at = time.Time{}
	for c := l.first; c != nil; {
		this := c
		c = c.next
		switch {
		case this.deadline.After(now):
			if l.at.IsZero() || this.deadline.Before(l.at) {
				l.at = this.deadline
			}
		case this.state.CompareAndSwap(waiting, left):
			l.drop(this)
			list = append(list, lapsed{this.to, backends.NotRun})
		case this.state.CompareAndSwap(taken, left):
			l.drop(this)
			this.backend.memory.doubt(this.call.Key, backends.MayHaveRun)
			list = append(list, lapsed{this.to, backends.MayHaveRun})
		default: // its flusher finishes it, and takes it out then
		}
	}
	if !l.at.IsZero() {
		l.lapse.Reset(max(l.at.Sub(now), lapseStep))
	}
	return list
}

// A lapsed command has ended without an answer. A batch may still write to the command.
type lapsed struct {
	to      backends.Asker
	outcome backends.Outcome
}

// lapse ends the started commands whose deadline has passed.
func (q *batcher) lapse() {
	q.mu.Lock()
	list := q.begun.over(time.Now())
	if len(list) > 0 {
		// After close, these had been taken, by a flusher that is still on its way: wait
		// waits for both.
		q.running.Add(1)
		defer q.running.Done()
	}
	q.mu.Unlock()
	for _, it := range list {
		it.to.Answered(backends.Reply{Outcome: it.outcome}, errNoAnswer)
	}
}
