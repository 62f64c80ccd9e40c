package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/redis"
)

// driverLogEnv has the URL of Sentinels, for useTheDriver in a process of its own.
const driverLogEnv = "TURNSTILE_TEST_DRIVER_LOG"

// sentinelsAway is the URL of Sentinels that are away. A server that is away makes the
// driver print nothing, since our dialer hides failed dials from its pools.
const sentinelsAway = "redis+sentinel://127.0.0.1:1?master_name=mymaster&lazy=true"

// TestNothingOfTheDriversReachesStderr runs useTheDriver, in which the driver prints.
func TestNothingOfTheDriversReachesStderr(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(bounded(t), self, "-test.run=^$")
	program.Env = append(os.Environ(), driverLogEnv+"="+onSentinel(t).URL())
	var out, stderr bytes.Buffer
	program.Stdout, program.Stderr = &out, &stderr
	if err := program.Run(); err != nil || out.String() != "it was used\n" {
		t.Fatalf("%v\n%s%s", err, &out, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr has\n%s", &stderr)
	}
}

// useTheDriver is a program that uses the driver in two ways in which it prints: it asks
// Sentinels that are away for a master, and others that answer. The Logger has the
// lines of both. The program then sets a logger of its own, is told the same, and keeps it.
func useTheDriver(bySentinel string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := away(ctx, logger); err != nil {
		return err
	}
	if err := byName(ctx, bySentinel, logger); err != nil {
		return err
	}
	for _, want := range []string{"sentinel: GetMasterAddrByName", "sentinel: new master"} {
		if !strings.Contains(log.String(), want) {
			return fmt.Errorf("the Logger was not told %q:\n%s", want, &log)
		}
	}
	var own counting
	goredis.SetLogger(&own)
	if err := away(ctx, logger); err != nil {
		return err
	}
	if own.Swap(0) == 0 {
		return errors.New("the program's own logger was told nothing of Sentinels that are away")
	}
	if err := byName(ctx, bySentinel, logger); err != nil {
		return err
	}
	if own.Load() == 0 {
		return errors.New("the program's own logger was told nothing of Sentinels that answer")
	}
	_, err := fmt.Fprintln(out, "it was used")
	return err
}

// away asks Sentinels that are away. The log is whole when it returns.
func away(ctx context.Context, logger *slog.Logger) error {
	b, err := opened(ctx, sentinelsAway, logger)
	if err != nil {
		return err
	}
	if _, err := b.Acquire(ctx, newRequest("pylock:away")); err == nil {
		return errors.New("a Sentinel answers at port 1")
	}
	return b.Close()
}

// byName takes a key on the master that Sentinels name, in the same way.
func byName(ctx context.Context, bySentinel string, logger *slog.Logger) error {
	b, err := opened(ctx, bySentinel, logger)
	if err != nil {
		return err
	}
	r := newRequest("pylock:" + driverLogEnv)
	reply, err := b.Acquire(ctx, r)
	if err != nil || reply.Outcome != backends.Granted {
		return fmt.Errorf("acquire: %v, %w", reply.Outcome, err)
	}
	if err := b.Release(ctx, r.Attempt); err != nil {
		return err
	}
	return b.Close()
}

func opened(ctx context.Context, rawURL string, logger *slog.Logger) (*redis.Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return redis.Open(ctx, u, redis.Options{Logger: logger})
}

// counting counts lines.
type counting struct{ atomic.Int64 }

func (c *counting) Printf(_ context.Context, format string, v ...any) {
	_ = fmt.Sprintf(format, v...)
	c.Add(1)
}
