package embedded_test

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
)

// TestNobodyIsAliveForLongerThanItsColumn: the columns behind it would be read from other digits.
func TestNobodyIsAliveForLongerThanItsColumn(t *testing.T) {
	t.Parallel()
	b := embedded.Open(t.Name())
	defer func() { _ = b.Close() }()
	var got backends.Wake
	session := backends.NewSession()
	if err := b.Subscribe(session, func(w backends.Wake) { got = w }); err != nil {
		t.Fatal(err)
	}
	held := backends.Request{Attempt: backends.Attempt{Key: "k", Token: backends.NewSession().Token(1)}, TTL: time.Minute}
	waits := backends.Request{Attempt: backends.Attempt{Key: "k", Token: session.Token(1)}, TTL: time.Minute, Queue: true, Ask: 42, Alive: 1000 * time.Hour}
	for _, r := range []backends.Request{held, waits} {
		if _, err := b.Acquire(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Release(t.Context(), held.Attempt); err != nil || got.Kind != backends.Gave || got.Ask != 42 || got.TTL != 27*time.Hour {
		t.Errorf("%v, %+v", err, got)
	}
}

// TestAReleaseGivesTheLeaseInItsWake, which is called before the release returns.
func TestAReleaseGivesTheLeaseInItsWake(t *testing.T) {
	t.Parallel()
	const key = "k"
	holder, waiter := embedded.Open(t.Name()), embedded.Open(t.Name())
	var wakes []backends.Wake
	session := backends.NewSession()
	if err := waiter.Subscribe(session, func(w backends.Wake) { wakes = append(wakes, w) }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(); _ = waiter.Close() }()
	request := func(token backends.Token, ask uint64) backends.Request {
		return backends.Request{Attempt: backends.Attempt{Key: key, Token: token}, TTL: time.Minute, Label: "tester", Queue: ask != 0, Ask: ask, Alive: 3 * time.Second}
	}
	want := func(b *embedded.Backend, r backends.Request, outcome backends.Outcome) backends.Reply {
		t.Helper()
		reply, err := b.Acquire(t.Context(), r)
		if err != nil || reply.Outcome != outcome {
			t.Fatalf("%+v, %v; want %v", reply, err, outcome)
		}
		return reply
	}
	held, waits := backends.NewSession().Token(1), session.Token(7)
	base := want(holder, request(held, 0), backends.Granted).Base
	want(waiter, request(waits, 41), backends.Held)
	want(waiter, request(waits, 42), backends.Held)
	if err := holder.Release(t.Context(), request(held, 0).Attempt); err != nil {
		t.Fatal(err)
	}
	if len(wakes) != 1 {
		t.Fatalf("wakes %+v", wakes)
	}
	got := wakes[0]
	if got != (backends.Wake{Key: key, Kind: backends.Gave, Attempt: 7, Ask: 42, Base: got.Base, TTL: 3 * time.Second}) || got.Base <= base {
		t.Errorf("%+v after base %d", got, base)
	}
	if _, err := waiter.Renew(t.Context(), request(waits, 0).Attempt, time.Minute, got.Base-1); !backends.IsNotHeld(err) {
		t.Errorf("a confirmation of an earlier lease: %v", err)
	}
	if reply, err := waiter.Renew(t.Context(), request(waits, 0).Attempt, time.Minute, got.Base); err != nil || reply.TTL != time.Minute {
		t.Errorf("the confirmation: %+v, %v", reply, err)
	}
	if found, err := holder.Revoke(t.Context(), key, backends.Revocation{Base: got.Base}); err != nil || found != backends.Marked {
		t.Errorf("revoked by the base that the wake named: %v, %v", found, err)
	}
	if err := waiter.Release(t.Context(), request(waits, 0).Attempt); err != nil {
		t.Error(err)
	}
}
