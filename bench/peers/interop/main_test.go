package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/internal/testmain"
	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// key is under lockclient's default prefix, which is pylock's.
	key     = "shared"
	fullKey = lockclient.DefaultKeyPrefix + key
	// foreignPoll is how often one of ours looks while another library holds.
	foreignPoll = 50 * time.Millisecond
	// jitter is what a machine may add to any wait; only a defect adds more.
	jitter = 30 * time.Second
	// patience is how long anybody waits for what has to come.
	patience = time.Minute
)

func TestMain(m *testing.M) {
	testmain.Prepare(8)
	goredis.SetLogger(silent{}) // a cut connection is reported by those who notice
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// open opens a client of ours that the test's end closes.
func open(t *testing.T, addr string, cfg lockclient.Config) *lockclient.Client {
	t.Helper()
	cfg.Backend, cfg.Timeout = "redis://"+addr, patience
	c, err := lockclient.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func acquire(t *testing.T, c *lockclient.Client, opts ...lockclient.Option) *lockclient.Lock {
	t.Helper()
	lock, err := c.Acquire(t.Context(), key, opts...)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return lock
}

func release(t *testing.T, lock *lockclient.Lock) {
	t.Helper()
	if err := lock.Release(); err != nil {
		t.Errorf("release: %v", err)
	}
}

// wantHeld checks that the hold has not ended.
func wantHeld(t *testing.T, lock *lockclient.Lock) {
	t.Helper()
	if ctx := lock.Context(); ctx.Err() != nil {
		t.Errorf("our hold ended: %v", context.Cause(ctx))
	}
}

// wantTimeout checks that ours is told at once that another library has the key.
func wantTimeout(t *testing.T, c *lockclient.Client) {
	t.Helper()
	if err := told(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// told returns nil if ours learns that another library has the key, and learns
// nothing of it that only a holder of ours would tell.
func told(ctx context.Context, c *lockclient.Client) error {
	_, err := c.TryAcquire(ctx, key)
	if err == nil {
		return errors.New("ours has got a foreign lock")
	}
	var why *lockclient.WaitError
	if !errors.As(err, &why) || errors.Is(err, lockclient.ErrUnavailable) {
		return fmt.Errorf("ours, on a foreign lock: %w, want ErrTimeout", err)
	}
	if why.Local || why.Holder != "" || why.HeldFor != 0 {
		return fmt.Errorf("ours, on a foreign lock: %+v", *why)
	}
	info, err := c.Inspect(ctx, key)
	if err != nil {
		return err
	}
	if !info.Held || info.Holder != nil || info.HeldFor != nil || info.ExpiresIn == nil {
		return fmt.Errorf("inspect of a foreign lock: %+v", info)
	}
	return nil
}

// wantFree checks that the key is free, and that nothing is left in its place
// that would not expire by itself.
func wantFree(t *testing.T, inside *goredis.Client) {
	t.Helper()
	keys, err := inside.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		ttl := inside.PTTL(t.Context(), k).Val()
		if !strings.HasSuffix(k, "}:turnstile") && !strings.HasSuffix(k, "}:turnstile:more") || ttl <= 0 {
			t.Errorf("left behind: %s, ttl %v", k, ttl)
		}
	}
}

// redisServer starts a server for one test, with a client of the test's own to
// look inside.
func redisServer(t *testing.T) (addr string, inside *goredis.Client) {
	t.Helper()
	s := servertest.Redis(t)
	return s.Addr, s.RedisClient(t, nil)
}

// An outcome is what came of something that ran beside the test, and when.
type outcome[T any] struct {
	value T
	err   error
	at    time.Time
}

// beside runs f, which has a bound of its own.
func beside[T any](f func() (T, error)) <-chan outcome[T] {
	out := make(chan outcome[T], 1)
	go func() { // ends with f
		v, err := f()
		out <- outcome[T]{v, err, time.Now()}
	}()
	return out
}

// soon takes an outcome that has to come within d.
func soon[T any](t *testing.T, what string, out <-chan outcome[T], d time.Duration) outcome[T] {
	t.Helper()
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case o := <-out:
		if o.err != nil {
			t.Fatalf("%s: %v", what, o.err)
		}
		return o
	case <-late.C:
		t.Fatalf("%s: not within %v", what, d)
	}
	panic("unreachable")
}

// notYet checks that there is no outcome for d.
func notYet[T any](t *testing.T, what string, out <-chan outcome[T], d time.Duration) {
	t.Helper()
	enough := time.NewTimer(d)
	defer enough.Stop()
	select {
	case o := <-out:
		t.Fatalf("%s: %v, %v", what, o.value, o.err)
	case <-enough.C:
	}
}

// eventually polls until cond holds; it fails the test after patience.
func eventually(t *testing.T, patience time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
