// Package pylock does what Turnstile's ancestor does on Redis (waveaccounting/pylock), step by
// step. Each step is a command of its own, and a command in between changes the meaning
// of the next: benchmarks and tests race against it, and stop it between two steps.
package pylock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A Lock is one pylock's. The key's value is the time at which the lock is over by its
// client's clock; it does not say whose the lock is. A Lock remembers when it was taken, and no more.
type Lock struct {
	Client *goredis.Client
	Key    string // under which the value stands
	// Expires is how long the lock is held at most. EXPIRE takes whole seconds: the rest is cut off.
	Expires time.Duration
	// Raced is called between the look at a left-over and its GETSET; nil: at once.
	Raced func()

	start time.Time
}

// Stamp is the value of a lock that is taken now and held for expires, as Python prints it.
func Stamp(expires time.Duration) string {
	at := time.Now().Add(expires + time.Second)
	return strconv.FormatFloat(float64(at.UnixMicro())/1e6, 'f', -1, 64)
}

// Attempt is one turn of pylock's loop. One that waits for the key's ttl to run out
// comes through SETNX; GET and GETSET are for a key that has none, because its
// holder ended before EXPIRE.
func (l *Lock) Attempt(ctx context.Context) (won bool, err error) {
	mine := Stamp(l.Expires)
	won, err = l.SetNX(ctx, mine)
	if err == nil && !won {
		won, err = l.takeOver(ctx, mine)
	}
	if !won || err != nil {
		return false, err
	}
	l.start = time.Now()
	// ctx must not part the key from its ttl any more.
	if err := l.Expire(context.WithoutCancel(ctx)); err != nil {
		return false, fmt.Errorf("pylock: a lock without a ttl is left: %w", err)
	}
	return true, nil
}

// takeOver takes a lock that is over by its value, and not by its ttl. Of two that try,
// the second has spoilt the first one's value; it stays out, but that stands.
func (l *Lock) takeOver(ctx context.Context, mine string) (won bool, err error) {
	found, err := l.Client.Get(ctx, l.Key).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil // freed in between: it comes back after the pause
	}
	if err != nil {
		return false, err
	}
	end, err := strconv.ParseFloat(found, 64)
	if err != nil {
		return false, fmt.Errorf("pylock: the key's value is no time: %w", err) // which ends a pylock
	}
	if end >= float64(time.Now().UnixMicro())/1e6 {
		return false, nil
	}
	if l.Raced != nil {
		l.Raced()
	}
	old, err := l.GetSet(ctx, mine)
	return err == nil && old == found, err
}

// SetNX is the first step: it takes a key under which nothing stands, without a ttl. The
// driver's own SetNX is a SET by now.
func (l *Lock) SetNX(ctx context.Context, mine string) (won bool, err error) {
	return l.Client.Do(ctx, "SETNX", l.Key, mine).Bool()
}

// Expire is the last step of a lock that was won.
func (l *Lock) Expire(ctx context.Context) error {
	return l.Client.Expire(ctx, l.Key, l.Expires.Truncate(time.Second)).Err()
}

// GetSet is the step that takes a left-over: it is won if it finds what the look found. If not,
// it has overwritten what there is, and taken its ttl away. old is empty if nothing was there.
func (l *Lock) GetSet(ctx context.Context, mine string) (old string, err error) {
	old, err = l.Client.Do(ctx, "GETSET", l.Key, mine).Text()
	if errors.Is(err, goredis.Nil) {
		return "", nil
	}
	return old, err
}

// LeaveOver leaves what a pylock does that ends between its SETNX and its EXPIRE, once its
// time is over: nothing would ever clear it away. It returns the value.
func (l *Lock) LeaveOver(ctx context.Context) (value string, err error) {
	value = Stamp(-11 * time.Second)
	return value, l.Client.Set(ctx, l.Key, value, 0).Err()
}

// Delete is the release, and deletes what stands under the key, be it another's.
func (l *Lock) Delete(ctx context.Context) error { return l.Client.Del(ctx, l.Key).Err() }

// Release deletes what stands under the key, unless the lock's own time is over. That is
// sound as long as a hold is much shorter than Expires.
func (l *Lock) Release(ctx context.Context) error {
	if time.Since(l.start) >= l.Expires {
		return nil
	}
	return l.Delete(ctx)
}
