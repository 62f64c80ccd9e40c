package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// section is how long a turn lasts: long enough that the other process waits
// for certain when it ends.
const section = time.Millisecond

// turns is one of two processes that take a key in turn. Its samples are the
// times from the other's call of release to its own grant.
//
// A library that lets its callers barge shows only those turns in which the
// waiter happened to try at the right moment: read its figure together with
// the part of its holds that were handed over at all.
type turns struct {
	locker  locker
	record  *record
	process int
}

func (t *turns) run(ctx context.Context, p *phases) (o outcome) {
	me := callerID(t.process, 0)
	// The stamps pass through the shared record as well: no clock of one process
	// means anything in the other.
	c := &t.record.cells[0]
	var holds int64
	for p.now() != stopped {
		release, fence, err := t.locker.acquire(ctx, "turns")
		waited := since(c.released.Load())
		if err != nil && p.over(ctx) {
			o.Stranded = 1
			break
		}
		if err == nil {
			err = t.record.enter(0, me, fence)
		}
		if err != nil {
			o.Err = err.Error()
			return o
		}
		if p.now() == measuring {
			holds++
			// A process that barges and has the key again shows no way of a wake.
			if last := c.last.Load(); last != 0 && last != me {
				o.Samples = append(o.Samples, waited)
			}
		}
		time.Sleep(section)
		err = t.record.leave(0, me)
		// Before the call, so that the way to the server is part of the sample.
		c.released.Store(stamp())
		if released := release(); err == nil {
			err = released
		}
		if err != nil {
			o.Err = err.Error()
			return o
		}
	}
	o.Holds = []int64{holds}
	return o
}

func (t *turns) close() error { return t.locker.close() }

// wake is what turns can't do without, and nothing else: the one process
// publishes, the other wakes and sends one EVALSHA, and then it is its turn.
// The script is acquire.lua on a lease that its caller has already, which is
// the very call that confirms a lease given by release.
type wake struct {
	client  *goredis.Client
	inbox   *goredis.PubSub
	record  *record
	process int
	confirm []any // the EVALSHA, made once
}

// plainClient sets go-redis up as Turnstile's backend does.
func plainClient(addr string, pool int) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: addr, PoolSize: pool, MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

const (
	leaseMillis = "10660" // what a hold of 10 s asks for: slack and margin on top
	push        = "1"     // by the script itself
)

// acquireArgs is one attempt on a key, as Turnstile's backend sends it.
func acquireArgs(verb, script, key string, token backends.Token) []any {
	return command(verb, script, key, token.Wire(), leaseMillis, owner, "0", push)
}

// command is a script's request with all its keys.
func command(verb, script, key string, args ...string) []any {
	list := []any{verb, script, scripts.KeyCount}
	for _, k := range scripts.Keys(key) {
		list = append(list, k)
	}
	for _, a := range args {
		list = append(list, a)
	}
	return list
}

// newWake takes the lease that confirm will find: granted once, never released,
// and made longer by every confirmation.
func newWake(sp spec, rec *record) (job, error) {
	w := &wake{client: plainClient(sp.Addr, sp.Pool), record: rec, process: sp.Process}
	ctx, cancel := context.WithTimeout(context.Background(), sp.Budget)
	defer cancel()
	key, token := fmt.Sprintf("wake%d", sp.Process), backends.NewSession().Token(1)
	if err := w.client.Do(ctx, acquireArgs("eval", scripts.Acquire.Source, key, token)...).Err(); err != nil {
		return nil, fmt.Errorf("wake: %w", err)
	}
	w.confirm = acquireArgs("evalsha", scripts.Acquire.SHA, key, token)
	w.inbox = w.client.Subscribe(ctx, w.channel(sp.Process))
	if _, err := w.inbox.Receive(ctx); err != nil { // subscribed, or the first message would be lost
		return nil, fmt.Errorf("wake: subscribe: %w", err)
	}
	return w, nil
}

func (w *wake) channel(process int) string { return "wake" + strconv.Itoa(process) }

// run reads its inbox itself. A goroutine and a channel in between, as an
// application has them, would make the yardstick longer and our ratio better.
func (w *wake) run(ctx context.Context, p *phases) (o outcome) {
	var holds int64
	myTurn := w.process == 0 // somebody has to begin
	for p.now() != stopped {
		if !myTurn {
			elapsed, err := w.receive(ctx)
			if err != nil {
				o.Err = err.Error()
				return o
			}
			if p.now() == measuring {
				holds++
				o.Samples = append(o.Samples, elapsed)
			}
		}
		myTurn = false
		time.Sleep(section)
		// Also after the end: the other one waits for it.
		w.record.cells[0].released.Store(stamp())
		if err := w.client.Publish(ctx, w.channel(1-w.process), "your turn").Err(); err != nil {
			o.Err = err.Error()
			return o
		}
	}
	o.Holds = []int64{holds}
	return o
}

// receive is from the other's publish to the reply of our EVALSHA.
func (w *wake) receive(ctx context.Context) (time.Duration, error) {
	if _, err := w.inbox.ReceiveMessage(ctx); err != nil {
		return 0, fmt.Errorf("wake: %w", err)
	}
	reply, err := w.client.Do(ctx, w.confirm...).Slice()
	elapsed := since(w.record.cells[0].released.Load())
	if err != nil {
		return 0, fmt.Errorf("wake: %w", err)
	}
	if len(reply) == 0 || reply[0] != int64(1) {
		return 0, fmt.Errorf("wake: the lease was not confirmed: %v", reply)
	}
	return elapsed, nil
}

func (w *wake) close() error {
	return errors.Join(w.inbox.Close(), w.client.Close())
}
