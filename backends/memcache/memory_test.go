package memcache

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// size is how many notes there are.
func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.now) + len(m.old)
}

// TestNotesOfKeysThatAreOverGo, at a rate of 20 000 keys a second, and all of
// them when nobody calls any more.
func TestNotesOfKeysThatAreOverGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, seconds = 20_000, 30
		var m memory
		session := backends.NewSession()
		attempt := func(n int) backends.Attempt {
			return backends.Attempt{Key: fmt.Sprint("key", n), Token: session.Token(uint64(n + 1))}
		}
		most := 0
		for n := range rate * seconds {
			m.settle(attempt(n))
			if n%rate == rate-1 {
				time.Sleep(time.Second)
				most = max(most, m.size())
				// A call takes 2 s at most; an add that it left behind stays for 3.
				if before := n - 4*rate; before >= 0 && !m.settled(attempt(before)) {
					t.Errorf("what was settled 4 s before second %d is forgotten", n/rate)
				}
			}
		}
		if most > 11*rate {
			t.Errorf("%d notes at a time, more than 11 s make", most)
		}
		time.Sleep(11 * time.Second)
		if n := m.size(); n != 0 {
			t.Errorf("%d notes are left when nobody has called for 11 s", n)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.timer != nil {
			t.Error("the timer goes on with nothing to forget")
		}
	})
}

// TestANoteInUseStays, for as long as it is used now and then.
func TestANoteInUseStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memory
		a := newRequest("k").Attempt
		for n := range 60 {
			if unchanged, want := m.see(a, "wish"), time.Duration(n)*time.Second; unchanged != want {
				t.Fatalf("seen for %v, want %v", unchanged, want)
			}
			time.Sleep(time.Second)
		}
		m.close()
	})
}

// TestAClosedMemoryHasNoTimer, even if a verb comes too late.
func TestAClosedMemoryHasNoTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memory
		m.settle(newRequest("k").Attempt)
		m.close()
		m.settle(newRequest("another").Attempt)
		time.Sleep(time.Minute)
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.now) != 2 {
			t.Error("the timer went on after close, and turned the notes")
		}
	})
}
