package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/scripts"
)

// A contestant takes a key that nobody else wants, again and again.
type contestant struct {
	name     string
	locker   locker
	record   *record
	acquires []time.Duration
	pairs    []time.Duration // with the release
	stranded int             // acquires that found the free key never free
}

// bare stands in for a lock and is none: the EVALSHA that a lock on Redis can't
// do without, sent by go-redis as Turnstile's backend has set it up.
type bare struct {
	client  *goredis.Client
	session backends.Session
	attempt uint64
	// trivial sends a script that does nothing, which tells what of an EVALSHA
	// is the way there and back; otherwise it is acquire.lua and release.lua.
	trivial bool
}

// trivialScript still is a script: what it saves is the work, not the way.
const trivialScript = "return 1"

// openBare loads the scripts first, or the first samples would be NOSCRIPT.
func openBare(ctx context.Context, addr string, pool int, trivial bool) (*bare, error) {
	b := &bare{client: plainClient(addr, pool), session: backends.NewSession(), trivial: trivial}
	for _, source := range []string{scripts.Acquire.Source, scripts.Release.Source, trivialScript} {
		if err := b.client.ScriptLoad(ctx, source).Err(); err != nil {
			return nil, errors.Join(fmt.Errorf("bare: %w", err), b.close())
		}
	}
	return b, nil
}

var trivialSHA = goredis.NewScript(trivialScript).Hash()

func (b *bare) acquire(ctx context.Context, key string) (func() error, uint64, error) {
	if b.trivial {
		err := b.client.Do(ctx, "evalsha", trivialSHA, 1, key).Err()
		return func() error { return nil }, 0, err
	}
	// A new token each time: an attempt that was released is settled, and
	// acquire.lua would return at once.
	b.attempt++
	token := b.session.Token(b.attempt)
	reply, err := b.client.Do(ctx, acquireArgs("evalsha", scripts.Acquire.SHA, key, token)...).Slice()
	if err != nil {
		return nil, 0, err
	}
	if len(reply) == 0 || reply[0] != int64(1) {
		return nil, 0, fmt.Errorf("bare: not granted: %v", reply)
	}
	return func() error {
		return b.client.Do(ctx, command("evalsha", scripts.Release.SHA, key, token.Wire(), push)...).Err()
	}, 0, nil
}

func (b *bare) close() error { return b.client.Close() }

// runFree measures all contestants in one loop, one after another, so that what
// disturbs the machine meets them alike. All are on one server.
func runFree(b *bench, _ int) (map[string]figures, error) {
	s, err := servers.StartRedis()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), b.timing.budget())
	defer cancel()
	all, err := openContestants(ctx, s.Addr, b.pool)
	defer func() {
		for _, c := range all {
			_ = c.locker.close() // its figures are in hand
		}
	}()
	if err != nil {
		return nil, err
	}
	// Samples of the warm-up would have the dials in them, and the first
	// growth of every pool.
	warm := time.Now().Add(b.timing.Warmup)
	end := warm.Add(b.timing.Duration)
	for i := 0; time.Now().Before(end); i++ {
		keep := time.Now().After(warm)
		for n := range all {
			c := all[(i+n)%len(all)] // nobody always follows the same one
			err := c.once(ctx, keep)
			if s, unknown := strategyNamed(c.name); unknown == nil && s.peer && errors.Is(err, context.DeadlineExceeded) {
				c.stranded++ // it has its number in the row; ours may not wait for a free key
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	rows := map[string]figures{}
	for _, c := range all {
		rows[c.name] = figures{
			acquireP50: seconds(quantile(c.acquires, 0.50)), acquireP99: seconds(quantile(c.acquires, 0.99)),
			pairP50: seconds(quantile(c.pairs, 0.50)), stranded: float64(c.stranded),
		}
	}
	return rows, nil
}

// openContestants returns what it opened even if it fails: all have to be closed.
func openContestants(ctx context.Context, addr string, pool int) (all []*contestant, err error) {
	// Every one has a key of its own, named after it, and so a free one.
	for _, name := range freeStrategies {
		var l locker
		switch name {
		case bareAcquire, bareTrivial:
			l, err = openBare(ctx, addr, pool, name == bareTrivial)
		default:
			var s strategy
			if s, err = strategyNamed(name); err == nil {
				l, err = s.open(addr, pool)
			}
		}
		if err != nil {
			return all, fmt.Errorf("%s: %w", name, err)
		}
		rec, err := openRecord("", 1)
		if err != nil {
			return all, err
		}
		all = append(all, &contestant{name: name, locker: l, record: rec})
	}
	return all, nil
}

// once is one acquire and one release. The owner word is looked at here as well,
// though nobody competes: a lock that is granted twice to one caller is no lock.
func (c *contestant) once(ctx context.Context, keep bool) error {
	// A timeout each, as callers have it, and made before the clock starts.
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	began := time.Now()
	release, fence, err := c.locker.acquire(ctx, c.name)
	acquired := time.Since(began)
	if err != nil {
		return err
	}
	if err := c.record.enter(0, 1, fence); err != nil {
		return err
	}
	if err := c.record.leave(0, 1); err != nil {
		return err
	}
	if err := release(); err != nil {
		return err
	}
	if keep {
		c.acquires = append(c.acquires, acquired)
		c.pairs = append(c.pairs, time.Since(began))
	}
	return nil
}

// quantile sorts the samples; without any it is 0.
func quantile(samples []time.Duration, q float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	slices.Sort(samples)
	return samples[min(len(samples)-1, int(q*float64(len(samples))))]
}

func seconds(d time.Duration) float64 { return d.Seconds() }
