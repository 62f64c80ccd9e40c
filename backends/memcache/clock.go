package memcache

import "time"

const (
	// unconfirmed is how long a token stays that was added and not swapped for a
	// lease yet, in s: longer than any call may take (2 s), and all that a copy of
	// an add can cost others that arrives when nobody awaits it any more.
	unconfirmed = 3

	// maxSeconds is 30 days. memcached takes more for a date.
	maxSeconds = 30 * 24 * 60 * 60
)

// seconds is the expiration that keeps an item for d at least. memcached's
// clock ticks once a second, and an item may have come just before a tick: that
// is the second more.
func seconds(d time.Duration) int32 {
	return int32(min(whole(d)/time.Second+1, maxSeconds))
}

// whole rounds a duration up to whole seconds.
func whole(d time.Duration) time.Duration {
	return (d + time.Second - 1) / time.Second * time.Second
}

// A clock tells ms since 1970, without the steps of the wall clock: only the
// process that wrote a time ever decides by it.
type clock struct{ start time.Time }

func (c clock) now() int64 { return c.start.UnixMilli() + time.Since(c.start).Milliseconds() }

// ms rounds a duration up.
func ms(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }
