//go:build linux || darwin

package file

import "time"

// A rest keeps a key from everybody but its lease's holder, whether that lives or not, and
// after the lease has ended from all. The zero value is none.
type rest struct {
	until int64
	first uint64 // of the lease that it follows
	label string // of that lease, shortened to maxWaiterLabel
}

// restUntil is that of the lease there is.
func (r *record) restUntil(until int64) rest {
	return rest{until: until, first: r.lease.first, label: cut(r.lease.label, maxWaiterLabel)}
}

// restPace is how often the first in line asks for a key that rests: no death can end that,
// and who ends it by force tells it.
const restPace = 400 * time.Millisecond

// rests reports whether nobody may be given the key, which nobody holds, either.
func (b *Backend) rests(r *record, now int64) bool { return now < r.rest.until && !b.held(r, now) }

// keep begins a rest, or makes it longer, for a lease that goes on.
func (r *record) keep(atLeast time.Duration, now int64) {
	if until := now + ceil(atLeast); atLeast > 0 && until > r.rest.until {
		r.rest = r.restUntil(until)
	}
}

// giveBack ends the lease. The key then goes to the next, or rests before that.
func (b *Backend) giveBack(r *record, atLeast time.Duration, now int64) {
	if atLeast > 0 {
		r.rest = r.restUntil(now + ceil(atLeast))
		r.lease = lease{}
		return
	}
	r.rest = rest{}
	b.pass(r, now)
}
