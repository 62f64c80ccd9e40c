//go:build linux || darwin

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/turnstile-go/turnstile/cmd/turnstile/internal/guard"
	"github.com/turnstile-go/turnstile/cmd/turnstile/internal/inherited"
	"github.com/turnstile-go/turnstile/internal/option"
	"github.com/turnstile-go/turnstile/lockclient"
)

// forwarded are the signals that the command gets from us. SIGTSTP and SIGCONT are
// handled beside them: see supervisor.pass.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
}

// keepIgnored goes on ignoring the signals that were ignored when turnstile was
// started.
func keepIgnored() { inherited.Keep() }

// leavePatience is how long leaving the queue may hold up the end of a turnstile
// that was interrupted, or whose backend does not answer.
const leavePatience = 500 * time.Millisecond

// An acquisition is a hold and what it came from; hold is nil if err is not.
type acquisition struct {
	opening
	hold hold
}

// give gives back what there is.
func (a acquisition) give() {
	if a.hold != nil {
		_ = a.hold.Release() // Close tries again, and tells
	}
	if a.client != nil {
		_ = a.client.Close()
	}
}

// giveUp runs give for as long as leaving may take. What is left behind then ends by
// itself: a place in a queue soon, a lease that was granted unheard by its ttl.
func giveUp(give func()) {
	given := make(chan struct{})
	go func() { // ends with the acquire; at worst with the process
		give()
		close(given)
	}()
	patience := time.NewTimer(leavePatience)
	defer patience.Stop()
	select {
	case <-given:
	case <-patience.C:
	}
}

// silent reports whether the backend had no answer in the end. To leave it takes as
// long as it is waited for; one that answers is left in good order.
func silent(err error) bool {
	var why *lockclient.WaitError
	return errors.Is(err, lockclient.ErrUnavailable) || errors.As(err, &why) && why.Err != nil
}

// execute carries the plan out.
func (p *plan) execute() error {
	signals := make(chan os.Signal, 16)
	heed(signals, forwarded...)
	defer signal.Stop(signals)
	// A reader of our stderr that went away must not end us while the command runs.
	brokenPipe := make(chan os.Signal, 1)
	heed(brokenPipe, syscall.SIGPIPE)
	defer signal.Stop(brokenPipe)

	a, err := p.wait(signals)
	if err != nil {
		return err
	}
	err = p.run(a, signals)
	// What matters was released before, and told; this ends connections.
	if e := a.client.Close(); e != nil {
		p.log.Debug("closing the backend failed", "cause", e)
	}
	return err
}

// wait acquires the key. A signal ends it at once: the place in the queue is given
// up, and so is a hold that was granted in the same moment.
func (p *plan) wait(signals <-chan os.Signal) (acquisition, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got := make(chan acquisition, 1)
	go func() { got <- p.acquire(ctx) }() // ends when ctx does; at worst with the process
	select {
	case a := <-got:
		if a.err != nil {
			if silent(a.err) {
				giveUp(a.give)
			} else {
				a.give()
			}
			return a, p.notAcquired(a.err)
		}
		// Select is free to choose when both are ready: a signal that came with the grant
		// must not start a command.
		select {
		case sig := <-signals: // before the command was started, so it is for us
			a.give()
			return a, interrupted(sig)
		default:
			return a, nil
		}
	case sig := <-signals:
		cancel()
		giveUp(func() { (<-got).give() })
		return acquisition{}, interrupted(sig)
	}
}

// interrupted is the end by a signal that came while there was no command.
func interrupted(sig os.Signal) error {
	return &exitError{code: exitSignal + int(sig.(syscall.Signal))}
}

// acquire opens the backend and acquires the key.
func (p *plan) acquire(ctx context.Context) acquisition {
	p.log.Info("waiting", "key", p.key, "backend", display(p.backend))
	begin := time.Now()
	a := acquisition{opening: p.openInTime()}
	if a.err != nil {
		return a
	}
	if !p.try && p.timeout > 0 {
		p.warnOfParent(ctx, a.client)
	}
	// The wait began before the backend was opened, and is what --timeout is about. If
	// nothing is left of it, that is one try.
	opened := time.Since(begin)
	rest := p.timeout
	if rest != lockclient.Forever {
		rest = max(rest-opened, 0)
	}
	told := func() {}
	if p.verbose && !p.try {
		told = (&waiting{key: p.key, awaited: p.awaited(a.client), inspect: a.client.Inspect, log: p.log}).start(ctx)
	}
	// The command is told of the hold by its deadline, and can't be stopped as fast as a hold may end that
	// is not confirmed.
	opts := []lockclient.Option{lockclient.Renew(), lockclient.Timeout(rest), option.Confirmed}
	switch {
	case p.atLeast > 0:
		opts = append(opts, lockclient.AtLeast(p.atLeast))
	case p.shared:
		opts = append(opts, lockclient.Shared())
	case p.slots > 0:
		opts = append(opts, lockclient.Slots(p.slots))
	}
	a.hold, a.err = p.take(ctx, a.client, opts)
	told()
	var why *lockclient.WaitError
	if errors.As(a.err, &why) {
		why.Waited += opened
		p.lookAgain(ctx, a.client, why)
	}
	if a.err == nil {
		p.log.Info("acquired", "key", p.key, "fence", a.hold.Fence(), "waited", time.Since(begin).Round(time.Microsecond))
	}
	return a
}

// take acquires the key, or all of them.
func (p *plan) take(ctx context.Context, client *lockclient.Client, opts []lockclient.Option) (hold, error) {
	if p.try {
		opts = append(opts, lockclient.Timeout(0))
	}
	if len(p.also) > 0 {
		locks, err := client.AcquireAll(ctx, p.keys(), opts...)
		if err != nil {
			return nil, err // a nil *Locks in the interface would not be nil
		}
		return keySet{locks, p.key}, nil
	}
	l, err := client.Acquire(ctx, p.key, opts...)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// awaited tells which of the keys is waited for now; the others are held, or will be.
func (p *plan) awaited(client *lockclient.Client) func() string {
	return func() string {
		for i := range client.Keys() {
			if i.Local > 0 {
				return i.Key
			}
		}
		return p.key
	}
}

// keys are all that the command runs under.
func (p *plan) keys() []string { return append([]string{p.key}, p.also...) }

// A keySet is the hold of several keys, which its command knows by the first.
type keySet struct {
	*lockclient.Locks
	key string
}

func (s keySet) Key() string   { return s.key }
func (s keySet) Fence() uint64 { return s.Locks.Fence(s.key) }

// lookAgain finds out who has a key whose holder has no name or is not known for how long: another
// library's client, perhaps for ever, or nobody, since it rests.
func (p *plan) lookAgain(ctx context.Context, client *lockclient.Client, why *lockclient.WaitError) {
	if why.Holder != "" && why.HeldFor > 0 || errors.Is(why, lockclient.ErrUnavailable) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	if info, err := client.Inspect(ctx, why.Key); err == nil {
		p.found = info
	}
}

// run starts the command under the hold, stays with it to its end, and gives the
// hold back.
func (p *plan) run(a acquisition, signals chan os.Signal) error {
	// The guard comes before the command, so that there is no moment without one. A
	// machine that has no process left for it may still run the command.
	g, err := guard.Start(a.session, p.log)
	if err != nil {
		p.log.Warn("the command would survive a SIGKILL of turnstile", "cause", err)
	}
	g.Cover(marks(a.hold))
	t := findTTY(signals)
	signal.Notify(signals, syscall.SIGCONT)
	p.settle()
	c, err := startChild(p.path, p.argv, childEnv(a.hold), t.lends)
	// From here on we may have to move the foreground, or to print a message, while
	// the terminal is the command's. Either would stop us (a message with stty
	// tostop), so SIGTTOU is ignored. The command was started before, or it would
	// ignore SIGTTOU too.
	signal.Ignore(syscall.SIGTTOU)
	if err != nil {
		g.Dismiss()
		p.release(a.hold)
		g.Wait()
		return startError(p.argv[0], p.path, err)
	}
	g.Watch(c.pid)
	defer reapOrphans(c.pid, g)()
	t.command = c.pid
	s := &supervisor{
		hold: a.hold, job: c, grace: p.grace, margin: marginFor(p.expires),
		signals: signals, tty: t, log: p.log, now: time.Now,
	}
	if p.longest > 0 {
		s.until = time.Now().Add(p.longest)
	}
	lost := s.run()
	// The order matters: the guard must not kill a number that is somebody else's once
	// the command is reaped, and nobody may get the key while a group still ends.
	g.Dismiss()
	status := c.reap()
	t.takeBack()
	if lost != nil || status.Signaled() {
		t.mend()
	}
	if gone := p.release(a.hold); lost == nil && gone {
		lost = lockclient.ErrNotHeld
	}
	g.Wait()
	if lost != nil {
		return p.ended(lost)
	}
	if code := exitCode(status); code != 0 {
		// The command has said itself what is wrong with it.
		return &exitError{code: code}
	}
	return nil
}

// ended returns the result of a command that outlived its hold.
func (p *plan) ended(lost error) error {
	err := fmt.Errorf("the hold of %q was lost while the command ran: %w", p.key, lost)
	if errors.Is(lost, errTooLong) {
		err = fmt.Errorf("the command was ended after %s, the --max-hold of %q", readable(p.longest), p.key)
	}
	return &exitError{code: exitLost, err: err}
}

// release gives the hold back; gone says that it was not there any more. Anything
// else that fails is no fault of the command, whose exit code stands. Both can be true:
// a hold that was revoked is over, and yet its lease is there until it is released.
func (p *plan) release(h hold) (gone bool) {
	err := h.Release()
	gone = errors.Is(err, lockclient.ErrNotHeld)
	switch {
	case err == nil:
		p.log.Info("released", "key", p.key)
	case !gone || errors.Is(err, lockclient.ErrUnavailable):
		p.log.Warn("the key could not be released, it frees itself when its lease ends", "key", p.key, "within", p.expires, "cause", err)
	}
	return gone
}
