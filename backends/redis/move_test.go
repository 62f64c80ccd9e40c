package redis_test

import (
	"errors"
	"testing"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/scripts"
)

// While a slot is on its way, a script that finds all its keys begins, and is
// broken off where it deletes one of them and looks at it again: here the last
// in the queue leaves it. What waiting mends is no refusal, and the second run
// ends what the first has begun.
func TestAScriptThatAMovedSlotBreaksOff(t *testing.T) {
	c := onCluster(t)
	b := open(t, c.URL())
	if err := b.Subscribe(backends.NewSession(), func(backends.Wake) {}); err != nil { // or it would be given nothing
		t.Fatal(err)
	}
	held := newRequest(newKey(t))
	next := newRequest(held.Key)
	mustGrant(t, b, held)
	if reply, err := b.Acquire(bounded(t), next); err != nil || reply.Place != 1 {
		t.Fatalf("%+v, %v; want the first place", reply, err)
	}
	over := newRequest(held.Key) // something that has to be remembered, or one of the keys is not there
	over.Ambiguous = true
	if err := b.Cancel(bounded(t), over.Attempt); err != nil {
		t.Fatal(err)
	}
	move := beginMove(t, c, held.Key)
	err := b.Release(bounded(t), held.Attempt)
	if err == nil || backends.IsRefused(err) || !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("release on the way: %v, want ErrUnavailable and no refusal", err)
	}
	for _, r := range []backends.Request{held, next} {
		reply, err := b.Acquire(bounded(t), r)
		if backends.IsRefused(err) || reply.Outcome == backends.Granted {
			t.Errorf("acquire on the way: %v, %v", reply.Outcome, err)
		}
	}
	if err := errors.Join(move.MigrateKeys(), move.Finish()); err != nil {
		t.Fatal(err)
	}
	if err := b.Release(bounded(t), held.Attempt); err != nil && !backends.IsNotHeld(err) {
		t.Errorf("release after it: %v", err)
	}
	mustGrant(t, b, next)
	if reply, err := b.Acquire(bounded(t), held); !errors.Is(err, backends.ErrSettled) {
		t.Errorf("a late copy of the first: %v, %v; want ErrSettled", reply.Outcome, err)
	}
	if err := b.Release(bounded(t), next.Attempt); err != nil {
		t.Error(err)
	}
}

// beginMove opens the way for a key's slot to another master.
func beginMove(t *testing.T, c *servers.Cluster, key string) *servers.Move {
	t.Helper()
	slot := scripts.Slot(key)
	home, err := c.Master(slot)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes[:3] { // the masters: none has been replaced
		if node != home {
			move, err := c.BeginMove(slot, node)
			if err != nil {
				t.Fatal(err)
			}
			return move
		}
	}
	t.Fatal("there is one master only")
	return nil
}
