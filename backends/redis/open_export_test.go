package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/internal/door"
)

// Ping pings as Open does with its own client, for as long as ctx lasts.
func (b *Backend) Ping(ctx context.Context) error {
	return door.Knock(ctx, b.pingOnce, backends.IsRefused, backends.IsPassing)
}

// Hook adds to a client what Open adds to its own.
func Hook(client goredis.UniversalClient) { hook(client) }
