package strategies

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/scripts"
)

const (
	// scriptRetry is when acquire is run again where it doesn't say. Half of it is
	// taken or added by chance, so that waiters spread.
	scriptRetry = 5 * time.Millisecond
	// scriptTrial is how long a lone caller may be kept from a free key. A script that
	// runs longer has its own error.
	scriptTrial = 2 * time.Second
)

// A scriptLocker is one process's part in a user's lock.
type scriptLocker struct {
	verbs   verbs
	runner  runner
	ttl     time.Duration
	session string
	last    atomic.Uint64 // numbers the tokens
}

func newScriptLocker(s script, r runner) *scriptLocker {
	return &scriptLocker{verbs: s.verbs, runner: r, ttl: s.ttl, session: randomValue()}
}

// request is what all scripts of one hold are given.
func (l *scriptLocker) request(key string) (keys, argv []string) {
	full := prefix + key
	// Ours name a companion in the key's own hash slot, whatever braces it has.
	companion := scripts.Keys(full)[1]
	token := l.session + ":" + strconv.FormatUint(l.last.Add(1), 10)
	ttl := strconv.FormatInt(max(1, l.ttl.Milliseconds()), 10)
	return []string{full, companion + ":script:state", companion + ":script:queue"}, []string{token, ttl, l.session}
}

func (l *scriptLocker) Lock(ctx context.Context, key string) (bench.Held, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys, argv := l.request(key)
	// The token stays the same over all attempts: a script may know a caller again.
	for {
		g, err := l.acquire(ctx, keys, argv)
		if err == nil && g.granted {
			return newScriptHold(l, keys, argv, g.fence), nil
		}
		if err == nil {
			err = pause(ctx, g.retry)
		}
		if err != nil {
			return nil, l.abandon(ctx, err, keys, argv)
		}
	}
}

func (l *scriptLocker) acquire(ctx context.Context, keys, argv []string) (grant, error) {
	r, err := l.runner.run(ctx, &l.verbs.acquire, keys, argv)
	if err != nil {
		return grant{}, err
	}
	return granted(l.verbs.acquire.path, r)
}

// abandon takes back what acquire may have left. If that fails as well, it is for
// the reason that the caller is told already, or for the same that its next call
// will be.
func (l *scriptLocker) abandon(ctx context.Context, why error, keys, argv []string) error {
	_, _ = l.runner.run(context.WithoutCancel(ctx), &l.verbs.release, keys, argv)
	return why
}

func (l *scriptLocker) Close() error { return l.runner.close() }

// tryOut runs each script once, on a key of its own, with nobody else there.
func (l *scriptLocker) tryOut(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, scriptTrial)
	defer cancel()
	held, err := l.Lock(bounded, "script-trial:"+l.session)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%s: it did not grant a free key to a lone caller within %v", l.verbs.acquire.path, scriptTrial)
	}
	if err != nil {
		return err
	}
	h := held.(*scriptHold) // which alone Lock returns
	// One error is told, the first: a hold that renew has spoilt is none to release.
	err = h.renewNow(ctx)
	if released := h.Unlock(); err == nil {
		err = released
	}
	if err != nil {
		return fmt.Errorf("tried on a key of its own: %w", err)
	}
	return nil
}

// A scriptHold is renewed by its timer until it is unlocked.
type scriptHold struct {
	locker     *scriptLocker
	keys, argv []string
	fence      uint64

	mu     sync.Mutex // protects all below, and is held while renew or release run
	timer  *time.Timer
	ended  bool
	failed error // what renewals came to, if not to a longer hold
}

func newScriptHold(l *scriptLocker, keys, argv []string, fence uint64) *scriptHold {
	h := &scriptHold{locker: l, keys: keys, argv: argv, fence: fence}
	h.mu.Lock()
	defer h.mu.Unlock()
	// The lock is held here so that a timer of a tiny ttl finds itself in the hold.
	// The goroutine of a timer that fires ends with one renewal, or at once when it
	// comes too late.
	h.timer = time.AfterFunc(l.ttl/3, h.renew)
	return h
}

func (h *scriptHold) Fence() uint64 { return h.fence }

// renew is the timer's. A renewal that fails is tried again a third later: the
// second third of the ttl is still the hold's.
func (h *scriptHold) renew() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	lost, err := h.renewLocked(context.Background())
	if err != nil && (h.failed == nil || lost) {
		h.failed = err
	}
	if !lost {
		h.timer.Reset(h.locker.ttl / 3)
	}
}

// renewNow is a renewal of the caller's own.
func (h *scriptHold) renewNow(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.renewLocked(ctx)
	return err
}

func (h *scriptHold) renewLocked(ctx context.Context) (lost bool, err error) {
	path := h.locker.verbs.renew.path
	r, err := h.locker.runner.run(ctx, &h.locker.verbs.renew, h.keys, h.argv)
	if err != nil {
		return false, err
	}
	kept, err := yes(path, r)
	if err == nil && !kept {
		return true, fmt.Errorf("%s: replied 0: the hold was lost", path)
	}
	return false, err
}

// Unlock runs release. It waits for a renewal that is under way, which would find
// the lock gone otherwise.
func (h *scriptHold) Unlock() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errEnded
	}
	h.ended = true
	h.timer.Stop()
	path := h.locker.verbs.release.path
	r, err := h.locker.runner.run(context.Background(), &h.locker.verbs.release, h.keys, h.argv)
	if err != nil {
		return errors.Join(err, h.failed)
	}
	freed, err := yes(path, r)
	if err == nil && !freed {
		err = fmt.Errorf("%s: replied 0: the hold had ended before", path)
	}
	return errors.Join(err, h.failed)
}

// jittered is a time around scriptRetry.
func jittered() time.Duration { return scriptRetry/2 + rand.N(scriptRetry) }
