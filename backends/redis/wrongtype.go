package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// keyTypes are the types of the keys of a lock, in the order of scripts.ShareKeys.
var keyTypes = [...]string{"string", "string", "hash", "zset", "hash", "zset", "hash"}

// nameWrongType asks which key it was that a script met with a wrong type:
// the server's error doesn't say. It leaves err as it is if it can't find out.
func (b *Backend) nameWrongType(ctx context.Context, keys []string, err error) error {
	pipe := b.client.Pipeline()
	types := make([]*goredis.StatusCmd, len(keys))
	for i, key := range keys {
		types[i] = pipe.Type(ctx, key)
	}
	if _, failed := pipe.Exec(ctx); failed != nil {
		return err
	}
	for i, typ := range types {
		if is := typ.Val(); is != keyTypes[i] && is != "none" {
			what := fmt.Sprintf("the key %q holds a %s, which is no lock of anybody's", keys[i], is)
			if i > 0 {
				what = fmt.Sprintf("the key %q belongs to the lock %q and holds a %s instead of a %s", keys[i], keys[0], is, keyTypes[i])
			}
			return backends.Refused(name, what, byServer("WRONGTYPE", backends.WrongType))
		}
	}
	return err
}
