package redis

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// An asking channel is an asker; its receiver may let it block.
type asking chan backends.Reply

func (a asking) Answered(reply backends.Reply, _ error) { a <- reply }

// TestAnAskerThatBlocksHoldsUpNobodyForLong, though the contract forbids it: what is
// started meanwhile travels with others, and what stands behind it in its batch ends by
// its deadline.
func TestAnAskerThatBlocksHoldsUpNobodyForLong(t *testing.T) {
	t.Parallel()
	b := faulty(t, &Faults{Addr: servertest.Redis(t).Addr})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	blocking, behind := make(asking), make(asking, 1) // the first is read when the rest is over
	batch := batchOf(ctx, t, 2)
	q := b.batch
	q.mu.Lock()
	for i, to := range []asking{blocking, behind} {
		c := batch[i]
		c.to, c.backend, c.batcher, c.push, c.deadline = to, b, q, pushByScript, time.Now().Add(time.Second)
		q.begun.add(c)
	}
	q.flushers++
	q.running.Go(func() { (&flusher{batcher: q}).flush(batch) })
	q.mu.Unlock()
	session := backends.NewSession()
	for n := range 3 {
		meanwhile := make(asking, 1)
		r := backends.Request{Attempt: backends.Attempt{Key: "pylock:" + t.Name(), Token: session.Token(uint64(n + 1))}, TTL: time.Minute}
		if run := b.Start(backends.Call{Request: r, Deadline: time.Now().Add(time.Minute)}, meanwhile); run != nil {
			t.Error("a caller may go alone, though a flusher is on the way")
			go run()
		}
		if reply := <-meanwhile; reply.Outcome != backends.Granted && reply.Outcome != backends.Held {
			t.Errorf("started meanwhile: %v", reply.Outcome)
		}
	}
	if reply := <-behind; reply.Outcome != backends.MayHaveRun {
		t.Errorf("what stands behind it: %v, want may have run", reply.Outcome)
	}
	if reply := <-blocking; reply.Outcome != backends.Granted {
		t.Errorf("itself: %v, want granted", reply.Outcome)
	}
}

func TestWhoMayGoAlone(t *testing.T) { synctest.Test(t, whoMayGoAlone) }

func whoMayGoAlone(t *testing.T) {
	const quick, slow = quickMost - 1, quickMost
	var g gauge
	for i, step := range []struct {
		after    time.Duration // the last
		took     time.Duration
		answered bool
		want     bool
	}{
		{took: 0, answered: false, want: false}, // refused at once: nothing is known
		{took: quick, answered: true, want: true},
		{took: quick, answered: false, want: true},
		{took: slow, answered: true, want: false},
		{took: quick, answered: true, want: false}, // within a second of it
		{after: slowFor - 1, took: quick, answered: true, want: false},
		{after: 1, took: quick, answered: true, want: true},
		{took: backends.AloneBudget, answered: false, want: false},
		{after: time.Hour, took: 0, answered: false, want: false}, // still the last that was answered
		{took: slow, answered: true, want: false},
		{after: slowFor, took: quick, answered: true, want: true},
	} {
		time.Sleep(step.after)
		g.note(step.took, step.answered)
		if got := g.quick(); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	time.Sleep(24 * time.Hour)
	if !g.quick() {
		t.Error("a quick round trip was forgotten")
	}
}
