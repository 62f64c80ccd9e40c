package embedded

import (
	"strings"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// inboxPrefix begins the name of every session's channel: wire format, as the
// scripts write it.
const inboxPrefix = "turnstile:inbox:"

// inboxes are a store's subscribers, by channel.
type inboxes struct {
	mu        sync.RWMutex // protects byChannel
	byChannel map[string]*inbox
}

// An inbox is one session's subscription.
type inbox struct {
	wake func(backends.Wake)
	// mu is held for reading while wake runs, so that a close, which writes
	// closed, waits for it: no wake comes after Close.
	mu     sync.RWMutex
	closed bool
	give   func(backends.Attempt) bool // nil until Reclaims; protected by mu, and held like wake
}

func (in *inboxes) add(session backends.Session, wake func(backends.Wake)) *inbox {
	box := &inbox{wake: wake}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.byChannel == nil {
		in.byChannel = make(map[string]*inbox)
	}
	in.byChannel[inboxPrefix+string(session)] = box
	return box
}

// remove ends a subscription, unless a newer one has taken its place, and waits
// for a wake under way.
func (in *inboxes) remove(session backends.Session, box *inbox) {
	in.mu.Lock()
	if channel := inboxPrefix + string(session); in.byChannel[channel] == box {
		delete(in.byChannel, channel)
	}
	in.mu.Unlock()
	box.mu.Lock()
	defer box.mu.Unlock()
	box.closed = true
}

// find is the inbox of a channel, or nil.
func (in *inboxes) find(channel string) *inbox {
	if !strings.HasPrefix(channel, inboxPrefix) {
		return nil
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.byChannel[channel]
}

// listeners is what PUBLISH answers. It is called with a shard's lock held;
// nothing takes the two locks the other way round.
func (in *inboxes) listeners(channel string) int {
	if in.find(channel) == nil {
		return 0
	}
	return 1
}

// deliver wakes the sessions that a script wrote to. No lock of a shard may be
// held: a wake may lead to the next call.
func (in *inboxes) deliver(sent []keyspace.Message) {
	for _, m := range sent {
		box := in.find(m.Channel)
		w, ok := parseWake(m.Payload)
		if box != nil && ok {
			box.deliver(w)
		}
	}
}

func (box *inbox) deliver(w backends.Wake) {
	box.mu.RLock()
	defer box.mu.RUnlock()
	if !box.closed {
		box.wake(w)
	}
}

// parseWake reads a message: one byte of kind, what a lease has, and the full key.
func parseWake(payload string) (w backends.Wake, ok bool) {
	if payload == "" {
		return w, false
	}
	w.Key = payload[1:]
	switch payload[0] {
	case 'g':
		w.Kind = backends.Given
	case scripts.LeaseMessage:
		l, ok := scripts.ReadLease(payload[1:])
		return backends.Wake{
			Key: l.Key, Kind: backends.Gave, Attempt: l.Attempt, Ask: l.Ask, Base: l.Base, TTL: l.TTL, Contended: l.Contended,
		}, ok
	case 'w':
		w.Kind = backends.Wanted
	case 'r':
		w.Kind = backends.Revoking
	default:
		return w, false // of a version that knows more than this one
	}
	return w, true
}
