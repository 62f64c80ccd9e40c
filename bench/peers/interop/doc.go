// Package interop shows that Turnstile and other people's Redis locks on the
// same key exclude each other: redis-py's Lock, redsync, bsm/redislock, and the
// loops of pylock and retools. It holds tests only.
//
//  1. Neither side gets a key that the other holds; either gets it promptly when
//     the other releases it, or dies and its ttl is over.
//  2. Of 1 000 holds of each side, contending for one key, none is lost: each
//     adds one to a number in a file that nothing but the lock protects.
//  3. What a crashed pylock leaves behind is taken over, once. A pylock that
//     loses the race for it overwrites our value, and the hold survives that.
//  4. On a key that ours keeps busy, a client that polls starves; PollerGap
//     lets it in, within the time that Config.PollerGap implies.
//
// redis-py is Debian's package python3-redis, in a Python process of its own.
// pylock's and retools' loops are written here, in Python and in Go, as those
// libraries make them. How often they try again is a parameter: a client that
// waits for a second can't contend for a thousand holds in a test's time.
package interop
