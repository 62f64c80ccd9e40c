package strategies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/lockclient"
)

// expires is how long a lock lasts wherever it can be set: long beside any pause
// of a loaded machine, so that no lock ends by itself.
const expires = 10 * time.Second

// prefix stands before every key on a server. It is ours and pylock's.
const prefix = lockclient.DefaultKeyPrefix

// errEnded is what a second Unlock says: the key may be another's by then.
var errEnded = errors.New("strategies: unlock: the hold has ended")

// All are the strategies of this package, in the order in which a report shows
// them: within the process, ours, the seeds' loops.
func All() []bench.Strategy {
	all := []bench.Strategy{mutex{}, channel{}}
	for _, o := range ours() {
		all = append(all, o)
	}
	return append(all, newPylock(), newRetools(), newDistributedLock())
}

// Default are those of All that exclude.
func Default() []bench.Strategy {
	return slices.DeleteFunc(All(), func(s bench.Strategy) bool { return s.Describe().Unsafe })
}

// Named are those of All with these names, in the order of the names.
func Named(names []string) ([]bench.Strategy, error) { return Select(All(), names) }

// Select picks strategies by their names, in the order of the names. A name that
// is not there or comes twice is an error that says what there is.
func Select(from []bench.Strategy, names []string) ([]bench.Strategy, error) {
	var picked []bench.Strategy
	var errs []error
	for i, name := range names {
		at := slices.IndexFunc(from, func(s bench.Strategy) bool { return s.Name() == name })
		switch {
		case at < 0:
			errs = append(errs, fmt.Errorf("strategies: no strategy %q", name))
		case slices.Contains(names[:i], name):
			errs = append(errs, fmt.Errorf("strategies: %q is named twice", name))
		default:
			picked = append(picked, from[at])
		}
	}
	if len(names) == 0 {
		errs = append(errs, errors.New("strategies: none is named"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w; there are %s", errors.Join(errs...), strings.Join(namesOf(from), ", "))
	}
	return picked, nil
}

func namesOf(list []bench.Strategy) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Name()
	}
	return names
}

// once lets a hold end once. Its place is in every hold whose own release would
// take a second one for the release of whoever has the key by then.
type once struct{ ended atomic.Bool }

func (o *once) end() error {
	if o.ended.Swap(true) {
		return errEnded
	}
	return nil
}
