package engine

import (
	"errors"
	"time"
)

var errBudget = errors.New("script killed: it took more instructions than any lock needs")

// A meter ends a script that runs for ever. gopher-lua has no hook for that,
// but asks its context before every instruction whether it is done: so this
// context counts how often it was asked. Unlike a deadline it needs no timer
// and no goroutine, and the count is the same on every machine.
//
// Once the budget is spent it stays spent until the next run, so a script can't
// catch the error and go on.
type meter struct {
	left int
	done chan struct{} // closed from the start; Done hides it while there is budget
}

func newMeter() *meter {
	m := &meter{done: make(chan struct{})}
	close(m.done)
	return m
}

// Done counts one instruction.
func (m *meter) Done() <-chan struct{} {
	if m.left--; m.left > 0 {
		return nil
	}
	return m.done
}

// Err is the text that the script's error gets.
func (m *meter) Err() error { return errBudget }

// Deadline is there for context.Context.
func (m *meter) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is there for context.Context.
func (m *meter) Value(any) any { return nil }
