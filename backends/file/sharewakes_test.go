//go:build linux || darwin

package file

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestThoseThatCanJoinAreTold, once each, and nobody else.
func TestThoseThatCanJoinAreTold(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	var c claims
	r, more := c.taker("k", 2, 1), c.taker("k", 2, 1)
	joins(t, a, r)
	joins(t, a, more)
	type waiter struct {
		b     *Backend
		wakes <-chan backends.Wake
		r     backends.Request
	}
	var all []waiter
	for _, n := range []int{2, 3, 4, 2} {
		b, wakes := subscribed(t, dir)
		var d claims
		w := waiter{b, wakes, d.taker("k", n, 1)}
		refused(t, b, w.r)
		all = append(all, w)
	}
	given := func(i int) {
		t.Helper()
		select {
		case w := <-all[i].wakes:
			if w != (backends.Wake{Key: "k", Kind: backends.Given}) {
				t.Errorf("woken with %+v", w)
			}
		case <-time.After(longEnough):
			t.Fatalf("waiter %d is not told", i)
		}
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // the first leaves room for those of three and of four
		given(i)
	}
	for i := range 3 {
		joins(t, all[i].b, all[i].r)
	}
	given(3) // it is the first now, and can't join
	refused(t, all[3].b, all[3].r)
	for i, w := range all {
		if len(w.wakes) > 0 {
			t.Errorf("waiter %d is woken again: %+v", i, <-w.wakes)
		}
	}
}

// TestASessionsOwnReleaseLeavesItListening for what it waits for beside its share.
func TestASessionsOwnReleaseLeavesItListening(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	b, wakes := subscribed(t, dir)
	var c, d claims
	r, mine, next := c.reader("k"), d.reader("k"), d.request("k")
	joins(t, a, r)
	joins(t, b, mine)
	refused(t, b, next)
	if err := b.Release(t.Context(), mine.Attempt); err != nil {
		t.Fatal(err)
	}
	if err := a.Release(t.Context(), r.Attempt); err != nil {
		t.Fatal(err)
	}
	select {
	case w := <-wakes:
		if w != (backends.Wake{Key: "k", Kind: backends.Given}) {
			t.Errorf("woken with %+v", w)
		}
	case <-time.After(longEnough):
		t.Fatal("it is not told of its turn")
	}
	take(t, b, next)
}
