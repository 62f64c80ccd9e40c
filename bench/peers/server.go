package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// A meter reads the server's own count of commands. What the bench itself asks
// is left out; everything else is the strategy's, its heartbeats as well.
type meter struct {
	client        *goredis.Client
	before, after map[string]int64 // calls by command since the server's start
}

// bookkeeping is the meter's own command. It logs in before its first reading.
const bookkeeping = "info"

// newMeter has one connection of its own, so that a reading never waits for a
// place in a strategy's pool.
func newMeter(addr string) *meter { return &meter{client: plainClient(addr, 1)} }

func (m *meter) read(into *map[string]int64) error {
	text, err := m.client.Info(context.Background(), "commandstats").Result()
	if err == nil {
		*into, err = commandCounts(text)
	}
	if err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	return nil
}

func (m *meter) atBegin() error { return m.read(&m.before) }
func (m *meter) atEnd() error   { return m.read(&m.after) }
func (m *meter) close() error   { return m.client.Close() }

// counts are the commands sent between the two readings, and those together
// with what scripts called on the server.
func (m *meter) counts(inner []string) (requests, commands int64) {
	for name, n := range m.after {
		n -= m.before[name]
		if name == bookkeeping {
			continue
		}
		commands += n
		if !slices.Contains(inner, name) {
			requests += n
		}
	}
	return requests, commands
}

// commandCounts reads "cmdstat_get:calls=21,usec=175,…" lines.
func commandCounts(info string) (map[string]int64, error) {
	counts := map[string]int64{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("commandstats: %q: %w", line, err)
		}
		// A subcommand has its own line, "client|setinfo".
		counts[name] = n
	}
	return counts, nil
}
