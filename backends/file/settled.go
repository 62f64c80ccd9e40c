//go:build linux || darwin

package file

import (
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// keep is how long what is settled stays known, and how long a record stays
// after its lease: 60 s, far beyond the 2 s that a call can be on its way.
const keep = time.Minute

// settled knows the attempts that ended here not long ago. It need not be in
// the record: a request never leaves its process, so the only late copy is a
// call of this backend that still waits for a flock when the attempt's cancel
// is through.
type settled struct {
	mu       sync.Mutex // protects what follows
	now, old map[settledKey]uint64
	turned   time.Time // when now began
}

type settledKey struct {
	key     string
	session backends.Session
}

// add settles an attempt, and all before it of its session on its key.
func (s *settled) add(a backends.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Two generations: what was not settled again in the last 60 to 120 s goes,
	// in one step and with no timers.
	if since := time.Since(s.turned); s.now == nil || since > keep {
		s.old, s.now, s.turned = s.now, make(map[settledKey]uint64), time.Now()
		if since > 2*keep {
			s.old = nil
		}
	}
	k := settledKey{a.Key, a.Token.Session()}
	s.now[k] = max(s.now[k], s.old[k], a.Token.Attempt())
}

func (s *settled) has(a backends.Attempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := settledKey{a.Key, a.Token.Session()}
	return max(s.now[k], s.old[k]) >= a.Token.Attempt()
}
