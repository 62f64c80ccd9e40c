package embedded_test

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestSharesThatLingerAreReclaimed at once, each from its own session, and those that are held are not.
func TestSharesThatLingerAreReclaimed(t *testing.T) {
	a, b, c := newSession(t, t.Name()), newSession(t, t.Name()), newSession(t, t.Name())
	share := func(s *session) backends.Request {
		r := s.request("k", time.Minute, true)
		r.Kind = backends.Shared
		return r
	}
	lingers, next, held := share(a), share(a), share(b)
	for _, of := range []struct {
		*session
		backends.Request
	}{{a, lingers}, {a, next}, {b, held}} {
		of.session.want(t, backends.Granted, of.Request)
	}
	gives := map[backends.Token]bool{lingers.Token: true, next.Token: true}
	for _, s := range []*session{a, b} {
		s.Reclaims(func(at backends.Attempt) bool { return gives[at.Token] })
	}
	try := c.request("k", time.Minute, false)
	if reply := c.want(t, backends.Held, try); reply.Out != 1 || reply.Kind != backends.Shared {
		t.Errorf("with one that is held: %+v", reply)
	}
	gives[held.Token] = true
	c.want(t, backends.Granted, try)
	for s, r := range map[*session]backends.Request{a: lingers, b: held} {
		if _, err := s.RenewShare(t.Context(), r, 0); !backends.IsNotHeld(err) {
			t.Errorf("a share that was reclaimed is renewed: %v", err)
		}
	}
}

// TestOneThatGivesUpWaitingForSharesLetsInThoseBehindIt.
func TestOneThatGivesUpWaitingForSharesLetsInThoseBehindIt(t *testing.T) {
	a, b, c := newSession(t, t.Name()), newSession(t, t.Name()), newSession(t, t.Name())
	reads := func(s *session) backends.Request {
		r := s.request("k", time.Minute, true)
		r.Kind = backends.Shared
		return r
	}
	a.want(t, backends.Granted, reads(a))
	writer, reader := b.request("k", time.Minute, true), reads(c)
	if reply := b.want(t, backends.Held, writer); reply.Retry > time.Second || reply.Place != 1 {
		t.Errorf("%+v", reply)
	}
	a.woken(t, backends.Wake{Key: "k", Kind: backends.Wanted})
	c.want(t, backends.Held, reader)
	if err := b.Cancel(t.Context(), writer.Attempt); err != nil {
		t.Fatal(err)
	}
	c.woken(t, backends.Wake{Key: "k", Kind: backends.Given})
	c.want(t, backends.Granted, reader)
}
