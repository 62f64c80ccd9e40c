package door

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What a server answered is told rather than that time was over, and what waiting
// can't mend ends the wait.
func TestAKnockTellsWhatSaysMost(t *testing.T) {
	t.Parallel()
	away, full, never := errors.New("away"), errors.New("full"), errors.New("never")
	is := func(what error) func(error) bool { return func(err error) bool { return err == what } }
	for name, row := range map[string]struct {
		answers []error // the last again and again
		want    error
		asked   int // 0: until ctx ended
	}{
		"let in":                  {[]error{nil}, nil, 1},
		"away, then let in":       {[]error{away, nil}, nil, 2},
		"full, then let in":       {[]error{full, full, nil}, nil, 3},
		"refused":                 {[]error{never}, never, 1},
		"full, then refused":      {[]error{full, never}, never, 2},
		"away":                    {[]error{away}, away, 0},
		"away, then full":         {[]error{away, full}, full, 0},
		"full, then no more word": {[]error{full, away}, full, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				asked := 0
				err := Knock(ctx, func(context.Context) error {
					asked++
					return row.answers[min(asked, len(row.answers))-1]
				}, is(never), is(full))
				if err != row.want {
					t.Errorf("%v, want %v", err, row.want)
				}
				if over := ctx.Err() != nil; over != (row.asked == 0) || !over && asked != row.asked {
					t.Errorf("asked %d times, want %d; the time is over: %v", asked, row.asked, over)
				}
			})
		})
	}
}
