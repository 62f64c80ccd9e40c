package servers

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Prepare(8)
	goleak.VerifyTestMain(m)
}

// patience is what only a defect outlasts.
const patience = time.Minute

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestARestartedRedisIsEmptyOnTheSamePort(t *testing.T) {
	ctx := bounded(t)
	s := begun(t, StartRedis)
	client := s.RedisClient(t, nil)
	// As a replica's first copy has it.
	if err := errors.Join(client.Set(ctx, "a", "1", 0).Err(), client.Save(ctx).Err()); err != nil {
		t.Fatal(err)
	}
	addr, pid := s.Addr, s.PID()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.Addr != addr || s.PID() == pid {
		t.Errorf("restarted as %s (%d), was %s (%d)", s.Addr, s.PID(), addr, pid)
	}
	if err := client.Get(ctx, "a").Err(); !errors.Is(err, goredis.Nil) {
		t.Errorf("get after restart: %v, want nil reply", err)
	}
}

func TestAStoppedServerRefusesConnections(t *testing.T) {
	s := begun(t, StartRedis)
	s.Stop()
	s.Stop()
	if conn, err := net.Dial("tcp", s.Addr); err == nil {
		_ = conn.Close()
		t.Error("somebody still listens")
	}
	if err := s.Pause(); err == nil {
		t.Error("paused a stopped server")
	}
}

func TestAPausedServerAnswersAfterResume(t *testing.T) {
	s := begun(t, StartRedis)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	client := s.RedisClient(t, &goredis.Options{ContextTimeoutEnabled: true, MaxRetries: -1})
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := client.Ping(short).Err(); err == nil {
		t.Error("a paused server answered")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(bounded(t)).Err(); err != nil {
		t.Error(err)
	}
}

func TestAPasswordDoesNotKeepAServerFromBeingReady(t *testing.T) {
	s := begun(t, StartRedis, "--requirepass", "secret")
	if err := s.RedisClient(t, &goredis.Options{Password: "secret"}).Ping(bounded(t)).Err(); err != nil {
		t.Error(err)
	}
}

// The look for a free port and the bind are two steps; what answers in between
// need not be ours.
func TestAnotherServerOnThePortIsNotTakenForOurs(t *testing.T) {
	first := begun(t, StartRedis)
	second := &Server{Addr: first.Addr, kind: redisKind, dir: t.TempDir(), output: new(output)}
	if err := second.run(); err == nil {
		second.Stop()
		t.Fatal("started on a port that is in use")
	}
	if err := first.RedisClient(t, nil).Ping(bounded(t)).Err(); err != nil {
		t.Errorf("the first server suffered: %v", err)
	}
}

// Where a program is missing, the error says what to do, and nothing is done.
func TestNothingIsInstalled(t *testing.T) {
	bin := t.TempDir()
	ran := filepath.Join(bin, "ran")
	for _, name := range []string{"apt-get", "sudo"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n: >"+ran+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	for name, start := range map[string]func(...string) (*Server, error){
		"redis-server": StartRedis, "memcached": StartMemcached, "etcd": StartEtcd,
	} {
		s, err := start()
		if err == nil {
			s.Close()
			t.Fatalf("%s was started", name)
		}
		if !strings.Contains(err.Error(), name+" is missing") || !strings.Contains(err.Error(), "make setup") {
			t.Errorf("%s: %v, want that it is missing, and how to install it", name, err)
		}
	}
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was to be installed: %v", err)
	}
}

// No locale, and no option of the servers' own that ours happens to carry, is theirs.
func TestServersInheritNothing(t *testing.T) {
	t.Setenv("LC_ALL", "xx_XX.UTF-8")
	t.Setenv("ETCD_DATA_DIR", filepath.Join(t.TempDir(), "other"))
	t.Setenv("MEMCACHED_PORT_FILENAME", filepath.Join(t.TempDir(), "port"))
	begun(t, StartRedis)
	begun(t, StartMemcached)
	begun(t, StartEtcd)
	for _, name := range []string{"ETCD_DATA_DIR", "MEMCACHED_PORT_FILENAME"} {
		if _, err := os.Stat(os.Getenv(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a server has read %s: %v", name, err)
		}
	}
}

func TestPythonHasRedisPy(t *testing.T) {
	path, err := Python()
	if err != nil {
		t.Fatal(err)
	}
	s := begun(t, StartRedis)
	_, port, _ := net.SplitHostPort(s.Addr)
	ping := "import redis, sys; print(redis.Redis(port=int(sys.argv[1])).ping())"
	if out, err := exec.CommandContext(bounded(t), path, "-c", ping, port).CombinedOutput(); err != nil || string(out) != "True\n" {
		t.Errorf("ping: %v\n%s", err, out)
	}
}

func TestMemcachedStartsAndRestarts(t *testing.T) {
	s := begun(t, StartMemcached)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if pid, err := s.ask(); err != nil || pid != s.PID() {
		t.Errorf("pid %d, %v; want %d", pid, err, s.PID())
	}
}

// etcd keeps what it has on the disk, and is the same one after a restart.
func TestEtcdStartsAndRestarts(t *testing.T) {
	s, other := begun(t, StartEtcd), begun(t, StartEtcd)
	pid := s.PID()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ask(); err != nil || s.PID() == pid {
		t.Errorf("pid %d, was %d: %v", s.PID(), pid, err)
	}
	stranger := &Server{Addr: other.Addr, kind: s.kind}
	if _, err := stranger.ask(); err == nil {
		t.Error("another etcd was taken for this one")
	}
}

func TestClosingRemovesTheDirectory(t *testing.T) {
	s, err := StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", s.dir, err)
	}
}
