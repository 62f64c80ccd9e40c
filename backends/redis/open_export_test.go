package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// Ping pings as Open does with its own client, for as long as ctx lasts.
func (b *Backend) Ping(ctx context.Context) error {
	return b.ping(ctx, func(context.Context) bool { return false })
}

// Hook adds to a client what Open adds to its own.
func Hook(client goredis.UniversalClient) { hook(client) }
