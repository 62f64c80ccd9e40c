//go:build unix

package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// An ending is how an attempt ends, of which a copy is held back.
type ending string

const (
	released  ending = "released"
	cancelled ending = "cancelled"
	timedOut  ending = "timed out"
	triedOnce ending = "tried once"
	// givenUp: the end of the attempt was lost too, and the client gave it up. The
	// session's next attempt on the key ends it.
	givenUp ending = "given up"
)

// A story is that of one key in one round: an attempt whose acquire is held back ends,
// others come, and the copies arrive.
type story struct {
	key    string
	client *lockclient.Client // by way of the wire
	other  *lockclient.Client // that nothing is held back of; third as well
	third  *lockclient.Client
	ending ending
	busy   bool // other has the key from the beginning, and a third waits
	stays  bool // another caller of client comes at once, so that the actor doesn't retire
	twice  bool // the attempt's second request is held back, too

	caught chan struct{} // closed when as many copies are held back as the story wants
	noEnd  chan struct{} // closed when the first request to end a given-up attempt was lost

	mu      sync.Mutex // protects what follows
	victim  string     // the attempt's token; "" if nothing of it was sent
	made    bool       // the attempt was: what asks for the first time from then on is another
	copies  int
	endLost bool
	// followed: the session has asked by a later attempt.
	followed bool

	before, next *lockclient.Lock   // other's hold if busy; a hold that begins after the attempt
	nextOf       *lockclient.Client // that has next
	waits        <-chan grant       // of third, if busy
}

func (s *story) fullKey() string { return lockclient.DefaultKeyPrefix + s.key }

// wish is the story's for a request on its key.
func (s *story) wish(a ask) wish {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.takes() {
		s.sees(a.token)
	}
	switch {
	case a.token != s.victim:
		s.followed = true
		return through
	case a.takes() && s.copies < s.wanted():
		return held
	case s.ending == givenUp:
		if !a.takes() && !s.endLost {
			s.endLost = true
			close(s.noEnd)
		}
		return lost
	}
	return through
}

// sees takes the first token that asks for the key for that of the attempt.
func (s *story) sees(token string) {
	if s.victim == "" && !s.made {
		s.victim = token
	}
}

// copied counts a copy that is held back.
func (s *story) copied(a ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sees(a.token); a.token != s.victim {
		return
	}
	if s.copies++; s.copies == s.wanted() {
		close(s.caught)
	}
}

// over reports whether the attempt has ended, and the server can know of it. Another caller who
// comes at once may go on with the attempt; of one that was given up the server learns by the
// session's next one; and another attempt than the story's has travelled with somebody's.
func (s *story) over(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return token == s.victim && (!s.stays || s.followed)
}

func (s *story) wasFollowed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.followed
}

// mayWait reports whether a late copy may be queued: the session's next attempt has the key, and
// nothing on the server says yet that the one before it is over.
func (s *story) mayWait() bool { return s.ending == givenUp && s.next != nil }

func (s *story) wanted() int {
	if s.twice {
		return 2
	}
	return 1
}

// begin has the key as the story wants it, before its attempt. Then nobody uses it but
// the attempt.
func (s *story) begin(ctx context.Context) (err error) {
	if s.busy {
		s.before, err = s.other.Acquire(ctx, s.key, lockclient.Renew())
	}
	return err
}

// attempt makes the attempt, and ends it.
func (s *story) attempt(all context.Context) error {
	opts := []lockclient.Option{lockclient.Timeout(patience)}
	ctx, cancel := context.WithCancel(all)
	defer cancel()
	switch s.ending {
	case timedOut:
		opts = append(opts, lockclient.Timeout(50*time.Millisecond+rand.N(300*time.Millisecond)))
	case triedOnce:
		opts = append(opts, lockclient.Timeout(0))
	case givenUp:
		opts = append(opts, lockclient.Expires(50*time.Millisecond)) // so that it is soon
		fallthrough
	case cancelled:
		go func() { // ends with the attempt
			select {
			case <-s.caught:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	lock, err := s.client.Acquire(ctx, s.key, opts...)
	s.mu.Lock()
	s.made = true
	s.mu.Unlock()
	switch {
	case err == nil:
		// Only those that wait for ever always have the lock, but any may.
		if err = letGo(lock); s.ending == givenUp && errors.Is(err, lockclient.ErrNotHeld) {
			err = nil
		}
	case s.ending != released && (errors.Is(err, context.Canceled) || errors.Is(err, lockclient.ErrTimeout) || errors.Is(err, lockclient.ErrUnavailable)):
		err = nil
	}
	if err == nil && s.stays {
		if s.ending == givenUp {
			// Before that, the attempt would be the next caller's.
			select {
			case <-s.noEnd:
			case <-time.After(10 * time.Second): // its lease of 0.1 s was over before anything was sent
			}
		}
		err = s.goesTo(all, s.client)
	}
	return err
}

// goOn has somebody hold the key when the copies come, or nobody. A given-up attempt is
// over by the session's next.
func (s *story) goOn(ctx context.Context, t *testing.T) (err error) {
	switch {
	case s.busy && s.ending == givenUp:
		for ended := false; !ended; ended = s.wasFollowed() { // on a busy machine the time may be over before anything is sent
			if _, err = s.client.Acquire(ctx, s.key, lockclient.Timeout(30*time.Millisecond)); err == nil {
				return errors.New("two have the key")
			} else if !errors.Is(err, lockclient.ErrTimeout) {
				return err
			}
		}
		fallthrough
	case s.busy:
		s.waits = acquiring(t, s.third, s.key, lockclient.Timeout(patience))
		return nil
	case s.next != nil:
		return nil
	case s.ending == givenUp || rand.N(3) == 0:
		err = s.goesTo(ctx, s.client)
	case rand.N(2) == 0:
		err = s.goesTo(ctx, s.other)
	}
	return err
}

// goesTo has c hold the key after the attempt.
func (s *story) goesTo(ctx context.Context, c *lockclient.Client) (err error) {
	s.nextOf = c
	s.next, err = c.Acquire(ctx, s.key, lockclient.Timeout(patience), lockclient.Renew())
	return err
}

// end gives back all that is held.
func (s *story) end() error {
	for _, lock := range []*lockclient.Lock{s.next, s.before} {
		if lock != nil {
			if err := letGo(lock); err != nil {
				return err
			}
		}
	}
	if s.waits == nil {
		return nil
	}
	g := <-s.waits // ends by its timeout
	if g.err != nil {
		return g.err
	}
	return letGo(g.lock)
}

// letGo gives the lock back. On a busy machine the release may go on in the background: the
// client's keys tell when it has ended.
func letGo(lock *lockclient.Lock) error {
	if err := lock.Release(); !errors.Is(err, lockclient.ErrUnavailable) {
		return err
	}
	return nil
}
