package door

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

// TestAServerIsFoundAgainSoon: the pause between two probes is a small part of the
// outage, whatever its length, and those who wait are told at once.
func TestAServerIsFoundAgainSoon(t *testing.T) {
	for _, outage := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond, time.Second, 5 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var told time.Time
			d := New(func() { told = time.Now() })
			defer d.Wait()
			defer d.Close()
			probes := 0
			back := time.Now().Add(outage)
			d.Shut(errAway, func(context.Context) error {
				probes++
				if time.Now().Before(back) {
					return errAway
				}
				return nil
			})
			for { // as a key that tries again and again
				if err := d.Await(t.Context()); err == nil {
					break
				} else if !errors.Is(err, errAway) {
					t.Fatal(err)
				}
			}
			late := time.Since(back)
			synctest.Wait()
			most := min(max(outage*3/128+outage/64, 10*time.Millisecond), 375*time.Millisecond)
			if late < 0 || late > most || told.IsZero() {
				t.Errorf("after %v: found %v later, want at most %v; told: %v", outage, late, most, !told.IsZero())
			}
			// Twice the probes that there are on the average, since a pause is half as
			// long at least.
			if most := min(int(outage/(leastPause/2)), 640+int(outage/(mostPause/2))) + 2; probes > most {
				t.Errorf("after %v: %d probes, want at most %d", outage, probes, most)
			}
		})
	}
}

// TestOneProberServesAllCallers: each caller's dial has failed, and each shuts the door.
func TestOneProberServesAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 500
		told := 0
		d := New(func() { told++ })
		defer d.Wait()
		defer d.Close()
		var probes, onTheirWay, most atomic.Int64
		back := time.Now().Add(time.Second)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for {
					d.Shut(errAway, func(context.Context) error {
						probes.Add(1)
						if n := onTheirWay.Add(1); n > most.Load() {
							most.Store(n)
						}
						time.Sleep(time.Millisecond) // virtual
						onTheirWay.Add(-1)
						if time.Now().Before(back) {
							return errAway
						}
						return nil
					})
					if d.Await(t.Context()) == nil {
						return
					}
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if most.Load() != 1 || probes.Load() > int64(time.Second/(leastPause/2)) || told != 1 {
			t.Errorf("%d probes, %d at once; told %d times", probes.Load(), most.Load(), told)
		}
	})
}

// TestNobodyIsProbedFor: a server that nobody asks for is left alone.
func TestNobodyIsProbedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() {})
		defer d.Wait()
		defer d.Close()
		probes := 0
		d.Shut(errAway, func(context.Context) error { probes++; return errAway })
		time.Sleep(time.Minute)
		synctest.Wait()
		before := probes
		time.Sleep(time.Hour)
		synctest.Wait()
		if probes != before {
			t.Errorf("%d probes for nobody", probes-before)
		}
		if err := d.Await(t.Context()); err != nil {
			t.Errorf("%v: nobody knows whether the server is away", err)
		}
	})
}

// TestThoseWhoWaitAtADoorGoInTime: by the end of their ctx, or of the door.
func TestThoseWhoWaitAtADoorGoInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() {})
		d.Shut(errAway, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Await(ctx); !errors.Is(err, errAway) {
			t.Errorf("at the end of ctx: %v, want what is known", err)
		}
		time.AfterFunc(time.Second, d.Close)
		if err := d.Await(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("at the door's end: %v", err)
		}
		d.Wait()
	})
}

// TestWhatIsReplacedIsNotWaitedFor opens the door from outside.
func TestWhatIsReplacedIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		d := New(func() { told++ })
		defer d.Wait()
		defer d.Close()
		d.Shut(errAway, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		time.AfterFunc(time.Second, d.Open)
		if err := d.Await(t.Context()); err != nil {
			t.Error(err)
		}
		d.Open()
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

// TestAnOutageThatIsOverEndsNoOther: its prober may learn late that it is over.
func TestAnOutageThatIsOverEndsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		d := New(func() { told++ })
		defer d.Wait()
		defer d.Close()
		away := func(context.Context) error { return errAway }
		d.Shut(errAway, away)
		first := d.outage
		d.Open()
		d.Shut(errAway, away)
		d.end(first)
		if err := d.Await(t.Context()); !errors.Is(err, errAway) || told != 1 {
			t.Errorf("the server is still away: %v; told %d times", err, told)
		}
	})
}

// TestAProbeThatHangsHoldsUpNobody: what it sent may have been lost on the way.
func TestAProbeThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() {})
		defer d.Wait()
		defer d.Close()
		start := time.Now()
		back := start.Add(150 * time.Millisecond)
		d.Shut(errAway, func(ctx context.Context) error {
			if time.Now().Before(back) { // no answer, as nothing arrives
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		if err := d.Await(t.Context()); err != nil {
			t.Error(err)
		}
		if late := time.Since(back); late < 0 || late > 100*time.Millisecond {
			t.Errorf("found %v later, want at most 100ms", late)
		}
	})
}

// TestFewProbesHangAtOnce: a server that never answers is not asked ever more often.
func TestFewProbesHangAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() {})
		defer d.Wait()
		defer d.Close()
		var hang atomic.Int64
		d.Shut(errAway, func(ctx context.Context) error {
			hang.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(time.Minute) // virtual
		synctest.Wait()
		if n := hang.Load(); n != mostProbes {
			t.Errorf("%d probes hang, want %d", n, mostProbes)
		}
	})
}

// TestAProbeThatPanicsIsOneThatFailed: a probe runs the user's code, such as the
// callbacks of a tls.Config, and on a goroutine where nobody else would catch it.
func TestAProbeThatPanicsIsOneThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(func() {})
		defer d.Wait()
		defer d.Close()
		probes := 0
		d.Shut(errAway, func(context.Context) error {
			if probes++; probes == 1 {
				panic("a fault of the user's")
			}
			return nil
		})
		if err := d.Await(t.Context()); err == nil {
			t.Error("the probe that panicked found the server")
		}
		if err := d.Await(t.Context()); err != nil {
			t.Errorf("after the next probe: %v", err)
		}
	})
}
