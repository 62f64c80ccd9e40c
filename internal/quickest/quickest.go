// Package quickest holds a limit of the product's against the quickest of some tries:
// what else the machine does can only add to a time.
package quickest

import (
	"testing"
	"time"
)

// tries is how often a limit is tried.
const tries = 5

// Of fails the test if no try took limit or less. A try returns how long it took.
// There is none after one that has failed the test.
func Of(t testing.TB, limit time.Duration, try func() time.Duration) {
	t.Helper()
	var took time.Duration
	for range tries {
		if took = try(); took <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("it took %v, and more than %v each time", took, limit)
}

// Whole is Of tries that are measured from begin to end.
func Whole(t testing.TB, limit time.Duration, try func()) {
	t.Helper()
	Of(t, limit, func() time.Duration {
		begin := time.Now()
		try()
		return time.Since(begin)
	})
}
