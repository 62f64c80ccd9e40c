package redis

import (
	"strconv"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// TestACrowdIsNotDeafAtOnce: a session that waits for very many keys may miss the echo of some heartbeats, for as long as
// an attempt's beats are apart. One that waits for fewer may not.
func TestACrowdIsNotDeafAtOnce(t *testing.T) {
	for _, row := range []struct{ keys, missed int }{{0, 1}, {1, 1}, {2000, 1}, {4000, 2}, {20_000, 8}} {
		t.Run(strconv.Itoa(row.keys), func(t *testing.T) {
			var woken int
			in := &inbox{
				pushes: &pushes{topology: &topology{}}, started: make(chan struct{}), wake: func(backends.Wake) { woken++ }, known: true,
				beater: &beater{least: heartbeat, beats: make(map[string]*beat)},
			}
			for i := range row.keys {
				in.beater.beats[strconv.Itoa(i)] = nil
			}
			in.beats.Store(1)
			in.echo("1")
			for sent := 2; sent <= row.missed; sent++ {
				in.beats.Store(uint64(sent))
				if in.judge(); !in.hearing() {
					t.Fatalf("deaf with %d of %d missed", sent-1, row.missed)
				}
			}
			in.beats.Store(uint64(row.missed) + 1)
			if in.judge(); in.hearing() || woken == 0 {
				t.Errorf("not deaf with %d missed, woken %d times", row.missed, woken)
			}
			if in.echo("1"); in.hearing() {
				t.Error("an echo that is too old counts")
			}
			if in.echo("2"); !in.hearing() {
				t.Error("an echo that is not too old does not count")
			}
		})
	}
}

// TestACrowdPollsNoMoreThanItCan, and keeps its places meanwhile.
func TestACrowdPollsNoMoreThanItCan(t *testing.T) {
	for _, seldom := range []bool{false, true} {
		p := pacing{probe: 9, queued: true, seldom: seldom, crowd: 20_000}
		for range 1000 {
			if d := p.retry(-time.Millisecond, -time.Millisecond, 1, false); d <= 1250*time.Millisecond || d > 2500*time.Millisecond {
				t.Fatalf("one of 20 000 polls after %v", d)
			}
		}
		if d := p.keeps(time.Second); d != 3200*time.Millisecond {
			t.Errorf("and keeps its place for %v", d)
		}
	}
	if d := (pacing{}).keeps(time.Second); d != time.Second {
		t.Errorf("one of few keeps its place for %v", d)
	}
	b := &beater{crowd: beatKeys}
	if n := b.crowded(); n != 0 {
		t.Errorf("2000 are a crowd of %d", n)
	}
	if b.crowd++; b.crowded() != beatKeys+1 {
		t.Errorf("2001 are a crowd of %d", b.crowded())
	}
}
