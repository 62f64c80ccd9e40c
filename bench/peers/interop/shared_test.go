package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A reader is a client of ours that shares the key with other readers, of its own process and of others.
type reader struct {
	client
	n int // how many holds it had
}

func (r *reader) acquire(wait time.Duration) (bool, error) {
	opt := lockclient.Shared()
	if r.n++; r.n%2 == 0 {
		opt = lockclient.Slots(3)
	}
	var err error
	r.lock, err = r.Acquire(context.Background(), key, lockclient.Timeout(wait), opt)
	if errors.Is(err, lockclient.ErrTimeout) {
		return false, nil
	}
	return err == nil, err
}

// read looks at the counter twice in a hold: nobody writes meanwhile.
func (r *reader) read(c contest) error {
	if won, err := r.acquire(starved); err != nil || !won {
		return errors.Join(err, fmt.Errorf("acquired: %v", won))
	}
	before, err := os.ReadFile(c.file("counter"))
	time.Sleep(time.Millisecond)
	after, err2 := os.ReadFile(c.file("counter"))
	if string(before) != string(after) {
		err = errors.Join(err, fmt.Errorf("%s became %s under a shared hold", before, after))
	}
	return errors.Join(err, err2, r.release())
}

// Writers of another library, and ours, beside readers of ours that share the key.
func TestReadersOfOursMeetNoWriterOfAnother(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l library) {
		const holds = 200
		addr, inside := redisServer(t)
		c := newContest(t, holds)
		var writers []holder
		reads := make(chan error, ourWorkers)
		for range ourClients {
			shared := open(t, addr, lockclient.Config{PollerGap: 2 * time.Millisecond})
			writers = append(writers, &client{Client: shared})
			for range ourWorkers / ourClients {
				r := &reader{client: client{Client: shared}}
				go func() { // ends with its holds, or starved
					for range holds / 2 {
						if err := r.read(c); err != nil {
							reads <- err
							return
						}
						time.Sleep(ourRest)
					}
					reads <- nil
				}()
			}
		}
		their := l.compete(t, settings{addr, 10 * time.Second, time.Millisecond}, c)
		our := c.run(ours, ourRest, writers)
		soon(t, "ours", our, time.Minute)
		soon(t, "theirs", their, time.Minute)
		for range ourWorkers {
			select {
			case err := <-reads:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("the readers don't end")
			}
		}
		count, turns := c.result(t)
		if o, n := strings.Count(turns, ours), strings.Count(turns, theirs); count != 2*holds || o != holds || n != holds {
			t.Errorf("%d of ours and %d of theirs counted up to %d, want %d each", o, n, count, holds)
		}
		wantFree(t, inside)
	})
}
