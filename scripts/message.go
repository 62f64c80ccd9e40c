package scripts

import (
	"iter"
	"strconv"
	"time"
)

// A Lease is what a message says of a lease that was given to a waiting attempt.
type Lease struct {
	Attempt   uint64        // the attempt's number in its session
	Base      uint64        // the fence base, µs
	Ask       uint64        // the number of the newest ask that the queue had of the attempt
	TTL       time.Duration // how long the lease lasts from when it was given
	Contended bool          // others wait
	Key       string        // the lock's
}

// LeaseMessage is the first byte of a message that has a Lease.
const LeaseMessage = 'l'

// Where the columns of a Lease end, behind the first byte. The key follows.
const (
	attemptEnds = attemptDigits
	baseEnds    = attemptEnds + baseDigits
	askEnds     = baseEnds + 16
	ttlEnds     = askEnds + 8 // ms
	othersEnds  = ttlEnds + 1 // 1: others wait; 0
)

// ReadLease reads what follows LeaseMessage in a message. ok is false unless all of it is as the scripts write it.
func ReadLease(text string) (l Lease, ok bool) {
	if len(text) <= othersEnds {
		return Lease{}, false
	}
	attempt, err1 := strconv.ParseUint(text[:attemptEnds], 10, 64)
	base, err2 := strconv.ParseUint(text[attemptEnds:baseEnds], 10, 64)
	ask, err3 := strconv.ParseUint(text[baseEnds:askEnds], 10, 64)
	ms, err4 := strconv.ParseUint(text[askEnds:ttlEnds], 10, 64)
	others := text[ttlEnds]
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || others != '0' && others != '1' ||
		min(attempt, base, ask, ms) == 0 || max(base, ask) >= MaxBase {
		return Lease{}, false
	}
	return Lease{attempt, base, ask, time.Duration(ms) * time.Millisecond, others == '1', text[othersEnds:]}, true
}

// ManyMessage is the first byte of a message that others wait for many locks.
const ManyMessage = 'm'

// lengthDigits is how long the length is that stands before each of its keys.
const lengthDigits = 8

// ReadMany returns the locks in what follows ManyMessage in a message, up to what is not as the script beat writes it.
func ReadMany(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > lengthDigits {
			n, err := strconv.ParseUint(text[:lengthDigits], 10, 32)
			if text = text[lengthDigits:]; err != nil || n == 0 || n > uint64(len(text)) || !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}
