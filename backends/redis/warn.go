package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// oldest is the oldest version of Redis that has all that the scripts use.
const oldestMajor, oldestMinor = 6, 2

// warnOfServers says, once each, what an operator should know of the servers.
// A user that may not ask is none the worse for it.
func (b *Backend) warnOfServers(ctx context.Context) {
	w := &warner{b: b, said: make(map[string]bool)}
	if b.topology.nodes != nil {
		// The first error is that of a node which doesn't answer: its replicas are
		// about to take its place, and others were looked at.
		_ = b.topology.nodes.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error {
			w.look(ctx, node)
			return nil
		})
		return
	}
	w.look(ctx, b.client)
}

// A warner says a thing once, however many nodes it is true of.
type warner struct {
	b    *Backend
	mu   sync.Mutex // protects said: the nodes of a Cluster are looked at at once
	said map[string]bool
}

func (w *warner) warn(ctx context.Context, message string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.said[message] {
		w.said[message] = true
		w.b.log.WarnContext(ctx, message, args...)
	}
}

func (w *warner) look(ctx context.Context, server goredis.Cmdable) {
	// A lock has a ttl, which makes it a favourite of every volatile- policy.
	if policy, err := server.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil {
		if p := policy["maxmemory-policy"]; p != "" && p != "noeviction" {
			w.warn(ctx, "the Redis server may evict live locks: set maxmemory-policy to noeviction", "maxmemory-policy", p)
		}
	}
	if info, err := server.Info(ctx, "server").Result(); err == nil {
		if v := infoField(info, "redis_version"); tooOld(v) {
			w.warn(ctx, "the Redis server is too old for locks: they need Redis 6.2 or later, or Valkey", "redis_version", v)
		}
	}
	info, err := server.Info(ctx, "replication").Result()
	if err != nil {
		return
	}
	switch replicas := infoField(info, "connected_slaves"); {
	case strings.HasPrefix(infoField(info, "role"), "active-replica"):
		// KeyDB's: two masters of the same keys, each of which grants.
		w.warn(ctx, "the Redis server is an active replica: another one grants the same locks, and nothing excludes")
	case w.b.topology.form == single && replicas != "" && replicas != "0":
		// A user who names Sentinels or a Cluster knows of the replicas; here they
		// may be news. They are no fault either, and a command that runs each minute
		// would have cron send mail about them.
		w.b.log.InfoContext(ctx, "the Redis server has replicas: a failover can lose the newest locks, and then only fences protect",
			"connected_slaves", replicas)
	}
}

// infoField is the value of a line "name:value" of INFO, "" if there is none.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// tooOld reports whether a version is known, and before 6.2. Valkey says 7.2.4,
// whatever its own version is, or later.
func tooOld(version string) bool {
	major, rest, ok := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err1 := strconv.Atoi(major)
	m, err2 := strconv.Atoi(minor)
	return ok && err1 == nil && err2 == nil && (n < oldestMajor || n == oldestMajor && m < oldestMinor)
}
