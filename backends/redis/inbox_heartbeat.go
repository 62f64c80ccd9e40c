package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// aliveFor is how long a waiting attempt counts as alive after it was last
// repeated, unless its request says.
const aliveFor = time.Second

// aliveMost is the most that the scripts have columns for, in whole hours.
const aliveMost = 27 * time.Hour

// lives is how long a waiting attempt counts as alive after the request.
func lives(r backends.Request) time.Duration {
	if r.Alive > 0 {
		return min(r.Alive, aliveMost)
	}
	return aliveFor
}

// use is what a session needs its inbox for. It is protected by the inbox's mu.
type use struct {
	held      map[uint64]struct{} // attempts that were granted, by number
	heldUntil time.Time           // when the last of their leases ends
	waitUntil time.Time           // when the newest waiting attempt counts as gone
}

func (u *use) waiting(now time.Time) bool { return now.Before(u.waitUntil) }

// any reports whether a push may come that matters. Leases that ended without
// a word are forgotten here.
func (u *use) any(now time.Time) bool {
	if len(u.held) > 0 && !now.Before(u.heldUntil) {
		clear(u.held)
	}
	return len(u.held) > 0 || u.waiting(now)
}

// note takes from an acquire's reply what the inbox is needed for, and puts in
// that others may wait for what a deaf session holds: it couldn't be told.
func (in *inbox) note(r backends.Request, reply *backends.Reply) {
	switch reply.Outcome {
	case backends.Granted:
		in.holds(r.Token, reply.TTL)
		reply.Contended = reply.Contended || in.deaf()
	case backends.Held:
		if r.Queue {
			in.waits(lives(r))
		}
	}
}

// noteRenewal does so for a renewal's.
func (in *inbox) noteRenewal(a backends.Attempt, reply *backends.Reply, err error) {
	switch {
	case err == nil:
		in.holds(a.Token, reply.TTL)
		reply.Contended = reply.Contended || in.deaf()
	case backends.IsNotHeld(err):
		in.ends(a.Token)
	}
}

// waits notes that an attempt was queued, and counts as alive for d.
func (in *inbox) waits(d time.Duration) {
	in.mu.Lock()
	if until := time.Now().Add(d); until.After(in.use.waitUntil) {
		in.use.waitUntil = until
	}
	in.mu.Unlock()
	in.rouseIdle()
}

// holds notes that an attempt has a lease for ttl from now.
func (in *inbox) holds(t backends.Token, ttl time.Duration) {
	in.mu.Lock()
	if in.use.held == nil {
		in.use.held = make(map[uint64]struct{})
	}
	in.use.held[t.Attempt()] = struct{}{}
	if end := time.Now().Add(ttl); end.After(in.use.heldUntil) {
		in.use.heldUntil = end
	}
	in.mu.Unlock()
	in.rouseIdle()
}

// ends notes that an attempt is over, or about to be.
func (in *inbox) ends(t backends.Token) {
	if in == nil {
		return
	}
	in.mu.Lock()
	delete(in.use.held, t.Attempt())
	in.mu.Unlock()
}

// inUse tells what the inbox is needed for now.
func (in *inbox) inUse() (any, waiting bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	return in.use.any(now), in.use.waiting(now)
}

// rouse makes beat look again.
func (in *inbox) rouse() {
	select {
	case in.poke <- struct{}{}:
	default: // it will look anyway
	}
}

// rouseIdle rouses a beat that waits for something to do, at the price of one
// read where it doesn't.
func (in *inbox) rouseIdle() {
	if in.idle.Load() && in.idle.CompareAndSwap(true, false) {
		in.rouse()
	}
}

// beat sends the heartbeats: one for each new connection, and one every 300 ms
// while the inbox is in use.
func (in *inbox) beat() {
	defer in.running.Done()
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for in.ctx.Err() == nil {
		used, _ := in.inUse()
		switch {
		case in.fresh.Swap(false):
			in.publish()
		case used:
			in.judge()
			in.publish()
		default:
			in.park()
			if _, waiting := in.inUse(); waiting || in.fresh.Load() {
				continue
			}
			// A lease alone: most are over before a heartbeat would tell anything.
		}
		in.rest(timer)
	}
}

// park waits, for as long as it takes, until the inbox is in use or has a new
// connection. Nothing is sent meanwhile.
func (in *inbox) park() {
	in.idle.Store(true)
	defer in.idle.Store(false)
	if used, _ := in.inUse(); used {
		return // since before idle was set, so nobody has roused us
	}
	select {
	case <-in.poke:
	case <-in.ctx.Done():
	}
}

// rest waits until the next heartbeat is due, or a new connection wants its first.
func (in *inbox) rest(timer *time.Timer) {
	timer.Reset(heartbeat)
	for !in.fresh.Load() {
		select {
		case <-in.poke:
		case <-timer.C:
			return
		case <-in.ctx.Done():
			return
		}
	}
}

// judge looks whether the last heartbeat was echoed. If not, whatever was
// pushed since the one before may be lost. So all that is awaited is asked for
// now, as poll-only; and since a waiter's messages don't arrive, somebody may
// wait for anything that is held. With very many keys it is some heartbeats that are to be missed: see
// beater.patience.
func (in *inbox) judge() {
	if in.echoed.Load()+in.beater.patience() > in.beats.Load() {
		in.misses = 0
		return
	}
	in.hears.Store(false)
	in.misses++
	if in.misses == 1 {
		if in.pushes.topology.form != single {
			in.wake(backends.Wake{Kind: backends.Doubted}) // we may be subscribed to a server that is deposed
		}
		in.wake(backends.Wake{Kind: backends.Given})
		in.wake(backends.Wake{Kind: backends.Wanted})
		return
	}
	// The connection may be dead and not know it, or lead to where nobody
	// publishes any more. A new one is tried after 2, 4, 8, 16, 32, 48, … misses.
	if in.misses&(in.misses-1) == 0 && in.misses < 16 || in.misses%16 == 0 {
		in.reconnect()
	}
}

// publish sends one heartbeat to the inbox itself.
func (in *inbox) publish() {
	ctx, cancel := context.WithTimeout(in.ctx, dialTimeout)
	defer cancel()
	n := strconv.FormatUint(in.beats.Add(1), 10)
	sharded := in.pushes.sharded.Load()
	if err := in.pushes.publish(ctx, in.channel, "h"+n); err != nil {
		in.lost(err)
	}
	if sharded && !in.pushes.sharded.Load() {
		in.reconnect() // to a plain channel, as nobody can publish to this one
	}
}
