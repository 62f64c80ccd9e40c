package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends/redis"
)

// driverLogEnv has the URL of Sentinels, for a test that is a program of its own.
const driverLogEnv = "TURNSTILE_TEST_DRIVER_LOG"

// TestNothingOfTheDriversReachesStderr runs the next test as a program.
func TestNothingOfTheDriversReachesStderr(t *testing.T) {
	t.Parallel()
	s, err := sharedSentinel()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(bounded(t), self, "-test.run=^TestAProgramThatUsesTheDriver$", "-test.v")
	program.Env = append(os.Environ(), driverLogEnv+"="+s.URL())
	var out, stderr bytes.Buffer
	program.Stdout, program.Stderr = &out, &stderr
	if err := program.Run(); err != nil || !strings.Contains(out.String(), "--- PASS: TestAProgramThatUsesTheDriver") {
		t.Fatalf("%v\n%s%s", err, &out, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr has\n%s", &stderr)
	}
}

func TestAProgramThatUsesTheDriver(t *testing.T) {
	url, ok := os.LookupEnv(driverLogEnv)
	if !ok {
		return // nobody has run it as a program
	}
	away := open(t, "redis://127.0.0.1:1?lazy=true&pool_size=2")
	for range 10 {
		if _, err := away.Acquire(bounded(t), newRequest(newKey(t))); err == nil {
			t.Fatal("a server answers at port 1")
		}
	}
	var log bytes.Buffer
	byName, err := redis.Open(bounded(t), parse(t, url), redis.Options{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	mustGrant(t, byName, newRequest(newKey(t)))
	if err := byName.Close(); err != nil { // and its log is whole
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "sentinel: new master") {
		t.Errorf("the Logger was not told which master the Sentinels name:\n%s", &log)
	}

	// The program keeps the logger that it sets.
	var own counting
	goredis.SetLogger(&own)
	open(t, url)
	if own.Load() == 0 {
		t.Error("the program's own logger was told nothing")
	}
}

// counting counts lines.
type counting struct{ atomic.Int64 }

func (c *counting) Printf(_ context.Context, format string, v ...any) {
	_ = fmt.Sprintf(format, v...)
	c.Add(1)
}
