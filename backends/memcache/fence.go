package memcache

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	// fenceLife is how long a counter lives from its seed, in s. Counting doesn't
	// prolong it. It bounds how wrong clocks may be: see mint.
	fenceLife = 10 * 60

	maxBase = 1<<53 - 1

	// unseeded is the value of a counter that has no time yet. It is a number, so that
	// whoever counts it up does no harm, and none that a base can have.
	unseeded = 1 << 62
)

// mint draws the key's next base, above what is given, from the counter.
//
// The counter is seeded with the time in µs and only ever counted up, by one
// each time, so it falls behind the clock: a hold takes several round trips.
// When it is gone, since it ended, was evicted or flushed, or the server was
// restarted, the next seed is later than all that was counted before, unless
// this process's clock is behind the one's that made the old seed by more than
// the time since. In the ordinary course that is ten minutes.
//
// A base means nothing by itself. It is the lease's once it was swapped in for
// what was seen before it was drawn: see acquire.
func (t *talk) mint(above uint64) (uint64, error) {
	by := uint64(1)
	for range rounds {
		base, err := t.count(by)
		if missing(err) || err == nil && base >= unseeded && base < unseeded<<1 {
			base, err = t.seed(above)
		}
		switch {
		case err != nil && answered(err):
			by = 1 // another was quicker, or it was lost again
		case err != nil:
			return 0, err
		case base > maxBase:
			return 0, &fault{backends.Refused(name, "delete the item "+t.items.fence, errors.New("its counter is out of range")), true}
		case base > above:
			return base, nil
		default:
			// Another made a seed by a clock that is behind, while we had the lease.
			by = above - base + 1
		}
	}
	return 0, &fault{backends.Unavailable(name, errChanging), true}
}

func (t *talk) count(by uint64) (base uint64, err error) {
	err = t.do(func(w wire) (err error) {
		base, err = w.incr(t.items.fence, by)
		return err
	})
	return base, err
}

// seed makes the counter, if it is not there, and returns its first base. An answer
// that is an error means that the counter is another's by now, or was lost again.
//
// An add of the time would not do: if it arrived late, after the counter of others
// was made, used and lost, it would bring back a time from before their bases. So
// what is added says nothing, and the time is swapped in for it. The time was read
// after the item was seen, and the swap proves that there was no counter since then:
// each base that was ever drawn is from before. A late swap changes nothing.
//
// Nothing is carried over from other keys: one counter that is ahead of its time
// would make all those ahead that this process seeds, and the next process's seed of
// each would be lower.
func (t *talk) seed(above uint64) (base uint64, err error) {
	err = t.do(func(w wire) error {
		return w.add(&gomemcache.Item{Key: t.items.fence, Value: strconv.AppendUint(nil, unseeded, 10), Expiration: unconfirmed})
	})
	if err != nil && !errors.Is(err, gomemcache.ErrNotStored) {
		return 0, err
	}
	var found map[string]*gomemcache.Item
	err = t.do(func(w wire) (err error) {
		found, err = w.get(t.items.fence)
		return err
	})
	if err != nil {
		return 0, err
	}
	item := found[t.items.fence]
	if item == nil {
		return 0, gomemcache.ErrCacheMiss
	}
	if _, err := parseBase(item); err == nil {
		return 0, gomemcache.ErrNotStored
	}
	base = max(uint64(time.Now().UnixMicro()), above+1)
	return base, t.do(func(w wire) error {
		return w.cas(&gomemcache.Item{Key: t.items.fence, Value: strconv.AppendUint(nil, base, 10), Expiration: fenceLife, CasID: item.CasID})
	})
}

// parseBase reads a counter.
func parseBase(item *gomemcache.Item) (uint64, error) {
	base, err := strconv.ParseUint(string(item.Value), 10, 64)
	if err != nil || base > maxBase {
		return 0, fmt.Errorf("%s is no counter", item.Key)
	}
	return base, nil
}
