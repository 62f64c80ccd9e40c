package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// Ping is what Open does of a client of its own, for as long as ctx lasts.
func (b *Backend) Ping(ctx context.Context) error {
	return b.ping(ctx, func(context.Context) bool { return false })
}

// Hook is what Open adds to its client.
func Hook(client goredis.UniversalClient) { hook(client) }
