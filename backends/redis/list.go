package redis

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/scripts"
)

const (
	// scanCount is how many keys the server looks at in one go: it does nothing
	// else meanwhile, which takes it some 0.2 ms.
	scanCount = 1000
	// askMost is how many keys one pipeline asks for.
	askMost = 500
)

// List returns the keys that are held; see backends.Lister. Whatever string is
// under a key is its lock. With an empty prefix that would be all strings there
// are; then those are listed that have a companion, which are ours.
//
// A slot of a Cluster that moves meanwhile may be passed over.
func (b *Backend) List(ctx context.Context, prefix string) ([]string, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	var keys []string
	var err error
	if prefix == "" {
		if keys, err = b.scanAll(ctx, "{*}:turnstile*", "hash"); err == nil {
			keys, err = b.locks(ctx, keys)
		}
	} else {
		keys, err = b.scanAll(ctx, literally.Replace(prefix)+"*", "string")
	}
	if err != nil {
		return nil, b.judge(ctx, scripts.Inspect, prefix, err, true).err
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil // a scan may name a key twice
}

// literally makes a pattern of what is none.
var literally = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`)

// scanAll scans the server, or every master of a Cluster.
func (b *Backend) scanAll(ctx context.Context, pattern, kind string) ([]string, error) {
	if b.topology.nodes == nil {
		return scan(ctx, b.client, pattern, kind)
	}
	var mu sync.Mutex // protects all
	var all []string
	err := b.topology.nodes.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error {
		keys, err := scan(ctx, node, pattern, kind)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	return all, err
}

// scan names the keys of one server that match, and are of a kind.
func scan(ctx context.Context, client goredis.Cmdable, pattern, kind string) ([]string, error) {
	var all []string
	for cursor := uint64(0); ; {
		keys, next, err := client.ScanType(ctx, cursor, pattern, scanCount, kind).Result()
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
		if next == 0 {
			return all, nil
		}
		cursor = next
	}
}

// locks are the locks of companions, where there are any: a companion outlives
// its lease.
func (b *Backend) locks(ctx context.Context, companions []string) ([]string, error) {
	var keys []string
	for _, name := range companions {
		if key, ok := scripts.Lock(name); ok {
			keys = append(keys, key)
		}
	}
	var held []string
	for some := range slices.Chunk(keys, askMost) {
		pipe := b.client.Pipeline()
		asked := make([]*goredis.StringCmd, len(some))
		for i, key := range some {
			asked[i] = pipe.Get(ctx, key) // what the user may do in any case; EXISTS is not
		}
		_, _ = pipe.Exec(ctx) // each has its own error
		for i, cmd := range asked {
			switch err := cmd.Err(); {
			case err == nil:
				held = append(held, some[i])
			case errors.Is(err, goredis.Nil), goredis.HasErrorPrefix(err, "WRONGTYPE"):
			default:
				return nil, err
			}
		}
	}
	return held, nil
}
