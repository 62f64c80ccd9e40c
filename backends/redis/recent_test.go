package redis

import (
	"strconv"
	"testing"
	"time"
)

func TestAKeyIsRememberedForAMinuteAndForgottenInTwo(t *testing.T) {
	for _, before := range []time.Duration{0, time.Second, remembered - 1, remembered, 2*remembered - 1} {
		var r recent
		began := time.Unix(1000, 0)
		r.note("another", began)
		at := began.Add(before)
		r.note("k", at)
		for _, d := range []time.Duration{0, time.Second, remembered - 1} {
			if !r.has("k", at.Add(d)) {
				t.Errorf("noted %v after another: forgotten after %v", before, d)
			}
		}
		if r.has("k", at.Add(2*remembered)) {
			t.Errorf("noted %v after another: remembered after %v", before, 2*remembered)
		}
		if r.has("other", at) {
			t.Error("a key that was never noted is remembered")
		}
	}
}

func TestAKeyNotedAgainIsRememberedFromThenOn(t *testing.T) {
	var r recent
	at := time.Unix(1000, 0)
	for range 5 {
		r.note("k", at)
		at = at.Add(remembered - 1)
		if !r.has("k", at) {
			t.Fatal("forgotten")
		}
	}
}

// Beyond its bound nothing is taken for forgotten: every key counts as noted.
func TestMoreKeysThanAreRememberedAreAllKeys(t *testing.T) {
	var r recent
	at := time.Unix(1000, 0)
	for i := range mostRecent {
		r.note(strconv.Itoa(i), at)
	}
	r.note("0", at) // it is there already
	if r.has("k", at) {
		t.Error("every key counts as noted at the bound, not beyond it")
	}
	r.note("one more", at)
	for _, key := range []string{"0", "one more", "k"} {
		if !r.has(key, at.Add(remembered-1)) {
			t.Errorf("%q is forgotten", key)
		}
	}
	if len(r.now.keys) != mostRecent {
		t.Errorf("%d keys are kept, want %d", len(r.now.keys), mostRecent)
	}
	if r.has("k", at.Add(2*remembered)) {
		t.Error("every key counts as noted for ever")
	}
}

func TestAForgottenKeyIsGone(t *testing.T) {
	var r recent
	at := time.Unix(1000, 0)
	r.note("k", at)
	r.forget("k")
	if r.has("k", at) {
		t.Error("it is remembered")
	}
	r.note("k", at)
	if r.has("other", at.Add(remembered)); !r.used.Load() {
		t.Error("the last span is not looked at")
	}
	r.forget("k")
	if r.has("k", at.Add(remembered)) {
		t.Error("it is remembered from the last span")
	}
}

func BenchmarkRecent(b *testing.B) {
	at := time.Now()
	for name, noted := range map[string]int{"nothing noted": 0, "a thousand": 1000} {
		b.Run(name, func(b *testing.B) {
			var r recent
			for i := range noted {
				r.note(strconv.Itoa(i), at)
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.has("pylock:k", at)
				}
			})
		})
	}
}
