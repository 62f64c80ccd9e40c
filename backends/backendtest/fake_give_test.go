package backendtest

import (
	"context"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// The faults of one that gives, and of renewals of what was given.
const (
	renewsLater fault = iota + 2000
	givesToAnother
	givesByFirstCall
	givesOldBase
	givesTooLong
	givesAsLast
	givesNothing
)

// A fakeGiver is a fake that gives a lease which is released to the first in line, and says so.
type fakeGiver struct {
	*fake
	*givers
}

// givers are what those of one shelf share, whose mutex protects it.
type givers struct {
	inboxes       map[backends.Session]func(backends.Wake)
	first, newest map[backends.Token]uint64 // the numbers of calls
}

func (f *fakeGiver) Subscribe(s backends.Session, wake func(backends.Wake)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inboxes[s] = wake
	return nil
}

func (f *fakeGiver) Capabilities() backends.Capabilities {
	can := f.fake.Capabilities()
	can.Wakes = true
	return can
}

func (f *fakeGiver) Acquire(ctx context.Context, r backends.Request) (backends.Reply, error) {
	reply, err := f.fake.Acquire(ctx, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.newest[r.Token] = r.Ask; f.first[r.Token] == 0 {
		f.first[r.Token] = r.Ask
	}
	if rec := f.records[r.Key]; err == nil && reply.Outcome == backends.Held && f.inboxes[rec.holder.Session()] != nil {
		f.inboxes[rec.holder.Session()](backends.Wake{Key: r.Key, Kind: backends.Wanted})
	}
	return reply, err
}

func (f *fakeGiver) Release(ctx context.Context, a backends.Attempt) error {
	if err := f.fake.Release(ctx, a); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	rec := f.records[a.Key]
	if len(rec.waiting) == 0 {
		return nil
	}
	w, before := rec.waiting[0], rec.base
	if f.fault != givesNothing {
		rec.waiting = rec.waiting[1:]
		rec.holder, rec.label, rec.since, rec.ends = w.token, w.label, time.Now(), time.Now().Add(alive)
		rec.first = f.mint(rec)
	}
	told := backends.Wake{
		Key: a.Key, Kind: backends.Gave, Attempt: w.token.Attempt(), Ask: f.newest[w.token], Base: rec.first, TTL: alive, Contended: len(rec.waiting) > 0,
	}
	switch f.fault {
	case givesToAnother:
		told.Attempt++
	case givesByFirstCall:
		told.Ask = f.first[w.token]
	case givesOldBase:
		told.Base = before
	case givesTooLong:
		told.TTL *= 2
	case givesAsLast:
		told.Contended = false
	case givesNothing:
		told.Base++
	}
	f.inboxes[w.token.Session()](told)
	return nil
}

func giversOf(store *shelf) func() backends.Backend {
	all := &givers{map[backends.Session]func(backends.Wake){}, map[backends.Token]uint64{}, map[backends.Token]uint64{}}
	return func() backends.Backend { return &fakeGiver{&fake{shelf: store}, all} }
}

func TestASoundGiverPasses(t *testing.T) {
	open := giversOf(newShelf(sound))
	for _, c := range wakeChecks() {
		t.Run(c.name, func(t *testing.T) {
			if err := exercise(t.Context(), (&fakeGiver{}).Capabilities(), c.run, open); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestABrokenGiverIsFoundOut is TestABrokenBackendIsFoundOut for what only one that gives leases can do wrong.
func TestABrokenGiverIsFoundOut(t *testing.T) {
	for name, f := range map[string]fault{
		"to another attempt": givesToAnother, "as an earlier call asked": givesByFirstCall, "with the base of the lease before": givesOldBase,
		"for longer than asked": givesTooLong, "as if nobody waited": givesAsLast, "nothing": givesNothing,
		"and renews it by an earlier base": renewsLater,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := exercise(t.Context(), (&fakeGiver{}).Capabilities(), givenIsWhole, giversOf(newShelf(f)))
			if err == nil {
				t.Fatal("not noticed")
			}
			t.Log(err)
		})
	}
}
