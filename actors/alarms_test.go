package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// left returns how many alarms there are, and when the timer fires.
func (s *alarms) left() (n int, at instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.due), s.at
}

// Keys that share timers end each in its own time: to the moment, whatever was set and taken
// back meanwhile.
func TestManyKeysEndInTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 500
		c := newCoordinator(t, &grantAll{}, Config{Linger: NoLinger})
		var mu sync.Mutex
		ended := map[int]time.Time{}
		holds := make([]*Hold, keys)
		want := map[int]time.Time{}
		for i := range keys {
			h := &Hold{}
			if err := c.Begin(h, fmt.Sprint("key ", i), Spec{Expires: time.Second + rand.N(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Wait(nil); err != nil {
				t.Fatal(err)
			}
			holds[i], want[i] = h, h.Deadline()
			ctx := h.Context(t.Context())
			context.AfterFunc(ctx, func() {
				if context.Cause(ctx) == backends.ErrExpired {
					mu.Lock()
					defer mu.Unlock()
					ended[i] = time.Now()
				}
			})
			time.Sleep(rand.N(time.Millisecond)) // virtual
		}
		for range keys / 2 {
			i := rand.N(keys)
			if rand.N(2) == 0 {
				if holds[i].Release() == nil {
					delete(want, i)
				}
			} else if holds[i].Extend(time.Hour) == nil {
				want[i] = holds[i].Deadline()
			}
			time.Sleep(rand.N(time.Second)) // virtual
		}
		time.Sleep(2 * time.Hour) // virtual
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(ended) != len(want) {
			t.Errorf("%d holds expired, want %d", len(ended), len(want))
		}
		for i, at := range want {
			if !ended[i].Equal(at) {
				t.Errorf("hold %d ended %v after its deadline", i, ended[i].Sub(at))
			}
		}
		for i := range c.directory.alarms {
			if n, at := c.directory.alarms[i].left(); n != 0 || at != 0 {
				t.Errorf("with no key left, a timer is set for %v, and has %d alarms", at, n)
			}
		}
	})
}

// An actor that has retired is kept by no alarm, and no timer is left to look for it.
func TestARetiredActorLeavesNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(t, &grantAll{}, Config{Linger: NoLinger})
		h := hold(t, c, Spec{Expires: time.Hour})
		s := h.entry.alarms()
		if n, at := s.left(); n != 1 || at == 0 {
			t.Errorf("a hold has %d alarms, and a timer at %v", n, at)
		}
		if err := h.Release(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(defaultIdleAfter + time.Millisecond) // virtual
		synctest.Wait()
		if n, at := s.left(); n != 0 || at != 0 {
			t.Errorf("%d alarms are left, and a timer at %v", n, at)
		}
	})
}
