package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A commandMeter reads a server's own count of the commands it ran. What the
// bench itself asks is left out; everything else is the strategy's, its
// heartbeats as well.
type commandMeter interface {
	// read returns the counts since the server's start, by command; nil where a
	// server has none that this package can read.
	read(ctx context.Context) (map[string]int64, error)
	// cpu is the processor time that the server has used since its start; 0 if the
	// server does not report it.
	cpu(ctx context.Context) (time.Duration, error)
	// ping is one round trip.
	ping(ctx context.Context) error
	version() string
	close() error
}

func newMeter(ctx context.Context, kind, addr string) (commandMeter, error) {
	switch kind {
	case PlaceRedis:
		return newRedisMeter(ctx, addr)
	case PlaceMemcached:
		return newMemcachedMeter(addr)
	default:
		return noMeter{}, nil
	}
}

// counted is what ran between two readings: the commands that travelled, and
// those together with what scripts called.
func counted(before, after map[string]int64, inner []string) (sent, executed int64) {
	for name, n := range after {
		n -= before[name]
		executed += n
		if !slices.Contains(inner, name) {
			sent += n
		}
	}
	return sent, executed
}

type noMeter struct{}

func (noMeter) read(context.Context) (map[string]int64, error) { return nil, nil }
func (noMeter) cpu(context.Context) (time.Duration, error)     { return 0, nil }
func (noMeter) ping(context.Context) error                     { return nil }
func (noMeter) version() string                                { return "" }
func (noMeter) close() error                                   { return nil }

// meterTimeout bounds one question to a server.
const meterTimeout = 10 * time.Second

// A redisMeter has one connection of its own, so that a reading never waits for a
// place in a strategy's pool.
type redisMeter struct {
	client *goredis.Client
	server string
}

func newRedisMeter(ctx context.Context, addr string) (*redisMeter, error) {
	m := &redisMeter{client: goredis.NewClient(&goredis.Options{
		Addr: addr, PoolSize: 1, DisableIdentity: true, ReadTimeout: meterTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
	text, err := m.client.Info(ctx, "server").Result()
	if err != nil {
		_ = m.client.Close() // its first question failed
		return nil, fmt.Errorf("bench: redis: %w", err)
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			m.server = "Redis " + v
		}
	}
	return m, nil
}

func (m *redisMeter) read(ctx context.Context) (map[string]int64, error) {
	text, err := m.client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, fmt.Errorf("bench: redis: %w", err)
	}
	counts, err := redisCounts(text)
	delete(counts, "info") // its own question; the pings come before the first reading
	return counts, err
}

// redisCounts reads "cmdstat_get:calls=21,usec=175,…" lines. A subcommand has its
// own, "client|setinfo".
func redisCounts(info string) (map[string]int64, error) {
	counts := map[string]int64{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bench: redis: commandstats: %q: %w", line, err)
		}
		counts[name] = n
	}
	return counts, nil
}

func (m *redisMeter) cpu(ctx context.Context) (time.Duration, error) {
	text, err := m.client.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("bench: redis: %w", err)
	}
	return redisCPU(text)
}

// redisCPU adds up "used_cpu_sys:0.021" and "used_cpu_user:0.013", in seconds. The
// reply has other lines for the children and for the main thread; they are left out.
func redisCPU(info string) (total time.Duration, err error) {
	for line := range strings.Lines(info) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_sys" && name != "used_cpu_user" {
			continue
		}
		s, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return 0, fmt.Errorf("bench: redis: cpu: %q: %w", line, err)
		}
		total += time.Duration(s * float64(time.Second))
	}
	return total, nil
}

func (m *redisMeter) ping(ctx context.Context) error { return m.client.Ping(ctx).Err() }
func (m *redisMeter) version() string                { return m.server }
func (m *redisMeter) close() error                   { return m.client.Close() }

// A memcachedMeter speaks the text protocol.
type memcachedMeter struct {
	conn   net.Conn
	r      *bufio.Reader
	server string
}

func newMemcachedMeter(addr string) (*memcachedMeter, error) {
	conn, err := net.DialTimeout("tcp", addr, meterTimeout)
	if err != nil {
		return nil, fmt.Errorf("bench: memcached: %w", err)
	}
	m := &memcachedMeter{conn: conn, r: bufio.NewReader(conn)}
	line, err := m.ask("version")
	if err != nil {
		_ = conn.Close() // its first question failed
		return nil, err
	}
	m.server = "memcached " + strings.TrimSpace(strings.TrimPrefix(line, "VERSION "))
	return m, nil
}

// ask returns the first line of the answer.
func (m *memcachedMeter) ask(command string) (string, error) {
	err := m.conn.SetDeadline(time.Now().Add(meterTimeout))
	if err == nil {
		_, err = io.WriteString(m.conn, command+"\r\n")
	}
	var line string
	if err == nil {
		line, err = m.r.ReadString('\n')
	}
	if err != nil {
		return "", fmt.Errorf("bench: memcached: %w", err)
	}
	return line, nil
}

// memcachedCounters add up to the commands: a set is an add and a cas as well,
// and a get counts its keys. "version" and "stats", the bench's own, have none.
var memcachedCounters = []string{
	"cmd_get", "cmd_set", "cmd_touch", "cmd_meta", "cmd_flush",
	"incr_hits", "incr_misses", "decr_hits", "decr_misses", "delete_hits", "delete_misses",
}

func (m *memcachedMeter) read(context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	line, err := m.ask("stats")
	for ; err == nil && strings.TrimSpace(line) != "END"; line, err = m.r.ReadString('\n') {
		fields := strings.Fields(line)
		if len(fields) != 3 || !slices.Contains(memcachedCounters, fields[1]) {
			continue
		}
		if counts[fields[1]], err = strconv.ParseInt(fields[2], 10, 64); err != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bench: memcached: stats: %w", err)
	}
	return counts, nil
}

func (m *memcachedMeter) cpu(context.Context) (time.Duration, error) { return 0, nil }

func (m *memcachedMeter) ping(context.Context) error { _, err := m.ask("version"); return err }
func (m *memcachedMeter) version() string            { return m.server }
func (m *memcachedMeter) close() error               { return m.conn.Close() }
