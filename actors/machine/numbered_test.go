package machine

import "testing"

// TestEachQueuedAskHasItsNumber: a call that is queued has a number of its own, drawn anew for a repeated
// attempt, and says for how long it keeps its place. One try has neither.
func TestEachQueuedAskHasItsNumber(t *testing.T) {
	p := newPlay().all(arrive("a"), held(), wait(300*ms), tick, fails(silent), wait(second), tick)
	if len(p.calls) != 3 {
		t.Fatalf("%d calls, want 3", len(p.calls))
	}
	for i, c := range p.calls {
		if want := uint64(1001 + i); c.Ask != want || c.Alive != second || c.Attempt != 1 {
			t.Errorf("call %d of attempt %d has the number %d and keeps its place for %v, want attempt 1, %d and 1s", i, c.Attempt, c.Ask, c.Alive, want)
		}
	}
	if c := newPlay().all(arrive("a", once)).asked(); c.Ask != 0 || c.Alive != 0 {
		t.Errorf("one try has the number %d and keeps a place for %v", c.Ask, c.Alive)
	}
}
