package backendtest

import (
	"fmt"

	"github.com/turnstile-go/turnstile/backends"
)

// What a session does with shares.

// reader is a new attempt at a shared lease, and taker one at permits of slots.
func (s *session) reader(key string) backends.Request {
	r := s.request(key, long)
	r.Kind = backends.Shared
	return r
}

func (s *session) taker(key string, n, want int) backends.Request {
	r := s.request(key, long)
	r.Kind, r.N, r.Want = backends.Slots, n, want
	return r
}

// attempts are one of each kind.
func (s *session) attempts(key string) []backends.Request {
	return []backends.Request{s.request(key, long), s.reader(key), s.taker(key, backends.MaxSlots, 1)}
}

// tried is the same attempt without a place in the queue.
func tried(r backends.Request) backends.Request {
	r.Queue = false
	return r
}

// joins insists on a share. A free key may be granted as a lock at first: its next ask turns it.
func (s *session) joins(r backends.Request) (backends.Reply, error) {
	reply, err := s.want(backends.Granted, r)
	if err == nil && reply.Kind == backends.Exclusive {
		reply, err = s.want(backends.Granted, r)
	}
	if err == nil {
		err = isShare(r, reply)
	}
	return reply, err
}

// awaitShare waits for a share as long as for a lock.
func (s *session) awaitShare(r backends.Request) (backends.Reply, error) {
	if _, err := s.await(r, grace); err != nil {
		return backends.Reply{}, err
	}
	return s.joins(r)
}

func isShare(r backends.Request, reply backends.Reply) error {
	switch {
	case reply.Kind != r.Kind:
		return fmt.Errorf("%v is %v, want %v", r.Token, reply.Kind, r.Kind)
	case r.Kind == backends.Slots && (reply.Permits < 1 || reply.Permits > r.Want):
		return fmt.Errorf("%v has %d permits, %d were wanted", r.Token, reply.Permits, r.Want)
	}
	return nil
}

// takes insists on so many permits.
func (s *session) takes(r backends.Request, permits int) error {
	reply, err := s.joins(r)
	if err == nil && reply.Permits != permits {
		err = fmt.Errorf("%v of %s has %d permits of %d, want %d", r.Token, s.label, reply.Permits, r.N, permits)
	}
	return err
}

// waits insists that a request is not granted.
func (s *session) waits(requests ...backends.Request) error {
	for _, r := range requests {
		if _, err := s.want(backends.Held, r); err != nil {
			return fmt.Errorf("%v: %w", r.Kind, err)
		}
	}
	return nil
}

// keepsShare renews a share, of which it knows no base.
func (s *session) keepsShare(r backends.Request) error {
	_, err := s.renewShare(r, 0)
	return err
}

func (s *session) renewShare(r backends.Request, known uint64) (backends.Reply, error) {
	sharer, ok := s.Backend.(backends.Sharer)
	if !ok {
		return backends.Reply{}, fmt.Errorf("it declares kinds and is no Sharer")
	}
	reply, err := sharer.RenewShare(s.ctx, r, known)
	if err != nil {
		return reply, fmt.Errorf("renew the share %v of %s: %w", r.Token, s.label, err)
	}
	if r.Want == 0 {
		r.Want = reply.Permits
	}
	return reply, isShare(r, reply)
}

// contended insists on what a renewal says of others that wait: of other sessions, and not of its own.
func (s *session) contended(r backends.Request, want bool) error {
	reply, err := s.renewShare(r, 0)
	if err == nil && reply.Contended != want {
		err = fmt.Errorf("contended %t, want %t", reply.Contended, want)
	}
	return err
}

// freeAll frees what one session has.
func (s *session) freeAll(requests ...backends.Request) error {
	for _, r := range requests {
		if err := s.free(r); err != nil {
			return err
		}
	}
	return nil
}

// alone insists that the key is free for a lock, and that it excludes.
func (s *session) alone(other *session, key string) error {
	r, _, err := s.hold(key, long)
	if err != nil {
		return err
	}
	return first(other.waits(tried(other.reader(key)), tried(other.taker(key, 5, 1))), s.free(r))
}
