package strategies

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// seedPoolWait is how long a caller waits for a connection. Its ctx ends that wait
// as well; what gives a key back has no ctx, and must not fail for a queue.
const seedPoolWait = time.Minute

// seedDriver is what Describe says of the client below. A pool of 256 was not
// faster on two cores: 64 goroutines on one key did the same, on 10 000 keys less.
const seedDriver = "go-redis, its default pool, no retries"

// seedClient is a plain go-redis client. A command is sent once: a driver that
// sends SETNX again after a lost answer tells the holder that another one has the
// key. And a command that was sent is waited for, whatever becomes of its ctx
// (which is the driver's default): so no hold is left behind by a caller that left.
func seedClient(addr string) *goredis.Client { return goredis.NewClient(seedOptions(addr)) }

func seedOptions(addr string) *goredis.Options {
	return &goredis.Options{
		Addr: addr, PoolTimeout: seedPoolWait, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// poll tries until the key is had, an attempt fails, or ctx ends. next is how long
// to pause after the nth attempt that found the key held, from 0.
func poll(ctx context.Context, try func(context.Context) (bool, error), next func(n int) time.Duration) error {
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if won, err := try(ctx); won || err != nil {
			return err
		}
		if err := pause(ctx, next(n)); err != nil {
			return err
		}
	}
}

// pause waits for d, or until ctx ends, and then says so.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// plain are the holds of locks that know no fence.
type plain struct{ once }

func (*plain) Fence() uint64 { return 0 }

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
