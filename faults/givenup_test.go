//go:build unix

package faults

import (
	"testing"

	"github.com/turnstile-go/turnstile/lockclient"
)

// An acquire and the end of its attempt are lost, and the client gives the attempt up. The
// copy arrives while the session's next attempt has the key: it may be queued, since nothing on the
// server says that it is over, but the release doesn't give the lock to it.
func TestACopyOfWhatWasGivenUpIsNotGivenTheLock(t *testing.T) {
	beside(t)
	server, inside := redisServer(t)
	late := holdCopies(t)
	c, other := open(t, "redis://"+late.wire.door(server.Addr)+"?read_timeout=100ms&lazy=true", owner), open(t, server.URL(), "other")
	s := &story{key: "k", client: c, ending: givenUp, twice: true, caught: make(chan struct{}), noEnd: make(chan struct{})}
	late.follow(s)
	if err := s.attempt(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "it is given up", func() bool { return c.Stats().LiveKeys == 0 })
	next := acquire(t, c, s.key)
	delivered := 0
	late.deliver(t, func(*copied) bool { return true }, func(ask, value) { delivered++ })
	if delivered == 0 {
		t.Fatal("there was no copy: the test proves nothing")
	}
	must(t, letGo(next))
	eventually(t, patience, "it is released", func() bool { return c.Stats().LiveKeys == 0 })
	if n := inside.Exists(t.Context(), s.fullKey()).Val(); n != 0 {
		t.Errorf("the lock is given to an attempt that nobody awaits, for %v", inside.PTTL(t.Context(), s.fullKey()).Val())
	}
	release(t, acquire(t, other, s.key, lockclient.Timeout(0)))
}
