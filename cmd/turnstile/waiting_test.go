//go:build linux || darwin

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func ptr[T any](v T) *T { return &v }

func TestWhatIsKnownOfAWaitIsOneSentence(t *testing.T) {
	full := lockclient.Info{
		Held: true, Holder: ptr("web1:4711"), HeldFor: ptr(3*time.Minute + 12*time.Second), Fence: ptr(uint64(1024)),
		Place: ptr(2), Processes: ptr(3),
	}
	for want, change := range map[string]func(*lockclient.Info){
		"held by web1:4711 for 3m12s (fence 1024), 2nd of 3 waiting processes": func(*lockclient.Info) {},
		"held by web1:4711 for 53ms (fence 1024), 1st of 1 waiting process": func(i *lockclient.Info) {
			i.HeldFor, i.Place, i.Processes = ptr(53*time.Millisecond+time.Microsecond), ptr(1), ptr(1)
		},
		// What is not known is left out.
		"held by web1:4711": func(i *lockclient.Info) { i.HeldFor, i.Fence, i.Processes = nil, nil, nil },
		"held":              func(i *lockclient.Info) { *i = lockclient.Info{Held: true} },
		"held by another library's client for 3m12s":     func(i *lockclient.Info) { i.Foreign, i.Processes = true, ptr(0) },
		"it is between two holders, 3 waiting processes": func(i *lockclient.Info) { i.Held, i.Place = false, nil },
		"it rests after web1:4711, for 5.3s more, 2nd of 3 waiting processes": func(i *lockclient.Info) {
			i.Resting, i.HeldFor, i.ExpiresIn = true, nil, ptr(5300*time.Millisecond)
		},
		"it rests": func(i *lockclient.Info) { *i = lockclient.Info{Held: true, Resting: true} },
		// Another process's words must not reach the terminal as they are.
		`held by "\x1b[2Jweb1" for 3m12s (fence 1024), 2nd of 3 waiting processes`: func(i *lockclient.Info) {
			i.Holder = ptr("\x1b[2Jweb1")
		},
		// Nor must bytes that are no UTF-8: 0x9b begins a sequence, too.
		`held by "\x9b2Jweb1" for 3m12s (fence 1024), 2nd of 3 waiting processes`: func(i *lockclient.Info) {
			i.Holder = ptr("\x9b2Jweb1")
		},
	} {
		info := full
		change(&info)
		if got := who(info) + since(info) + place(info); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th", 1003: "1003rd"} {
		if got := ordinal(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// tellFor runs a wait for a key in virtual time, and returns what it said.
func tellFor(d time.Duration, inspect func(context.Context, string) (lockclient.Info, error)) []string {
	var out bytes.Buffer
	w := &waiting{key: "k", inspect: inspect, log: newLogger(&out, slog.LevelInfo)}
	end := w.start(context.Background())
	time.Sleep(d)
	end()
	synctest.Wait()
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestAWaitIsToldWhenItChangesAndEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		lines := tellFor(26*time.Second, func(context.Context, string) (lockclient.Info, error) {
			took := time.Since(begin)
			info := lockclient.Info{Held: true, Holder: ptr("a"), HeldFor: &took, Place: ptr(2), Processes: ptr(2)}
			if took > 3*time.Second {
				info.Place = ptr(1)
			}
			if took > 14*time.Second {
				info.Holder = ptr("b")
			}
			return info, nil
		})
		want := []string{
			"held by a for 200ms, 2nd of 2 waiting processes",
			"held by a for 3.2s, 1st of 2 waiting processes",  // the place changed
			"held by a for 13.2s, 1st of 2 waiting processes", // nothing did, for 10 s
			"held by b for 14.2s, 1st of 2 waiting processes", // the holder did
			"held by b for 24.2s, 1st of 2 waiting processes",
		}
		for i := range want {
			want[i] = `turnstile: waiting for "k": ` + want[i]
		}
		if got, want := strings.Join(lines, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("said\n%s\nwant\n%s", got, want)
		}
	})
}

func TestAWaitThatNobodyNoticesIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if lines := tellFor(noticeable-1, func(context.Context, string) (lockclient.Info, error) {
			return lockclient.Info{Held: true}, nil
		}); lines != nil {
			t.Errorf("said %q", lines)
		}
	})
}

func TestThatAHolderIsNotKnownIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := tellFor(time.Minute, func(context.Context, string) (lockclient.Info, error) {
			return lockclient.Info{}, errors.New("no answer")
		})
		if want := `[turnstile: waiting for "k": who holds it is not known cause="no answer"]`; fmt.Sprint(lines) != want {
			t.Errorf("said %v, want %v", lines, want)
		}
	})
}

// A backend that does not answer holds up neither the next question for long nor
// the end of the wait.
func TestATellerEndsWithItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		lines := tellFor(10*time.Second, func(ctx context.Context, _ string) (lockclient.Info, error) {
			asked++
			<-ctx.Done()
			return lockclient.Info{Held: true}, nil
		})
		if asked != 4 { // at 0.2, 3.2, 6.2 and 9.2 s
			t.Errorf("asked %d times, want 4", asked)
		}
		if len(lines) != 1 {
			t.Errorf("said %q: the last answer came after the end", lines)
		}
	})
}

func TestAWaiterSaysWhoHoldsTheKeyAndItsPlace(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend string) {
		holder := launch(t, backend, "run", "k", "--", "sh", "-c", "echo $TURNSTILE_FENCE; exec sleep 600")
		fence := holder.line(t)
		label := `"[^ ]+:` + fmt.Sprint(holder.cmd.Process.Pid) + ` sh"`
		queue := regexp.MustCompile(`(?m)^turnstile: waiting for "k": held by ` + label + ` for [\d.]+m?s \(fence \d+\), 1st of 1 waiting process$`)
		if strings.HasPrefix(backend, "memcache:") { // it keeps no queue
			queue = regexp.MustCompile(`(?m)^turnstile: waiting for "k": held`)
		}
		first := launch(t, backend, "run", "-v", "k", "--", "true")
		eventually(t, "the waiter says who holds the key", func() bool { return queue.MatchString(first.stderr.String()) })
		if !strings.HasPrefix(backend, "memcache:") && !strings.Contains(first.stderr.String(), "(fence "+fence+")") {
			t.Errorf("not the holder's fence, %s: %s", fence, first.stderr)
		}
		holder.signal(t, 15)
		holder.exit(t, 143)
		first.exit(t, 0)
		said := first.stderr.String()
		if strings.LastIndex(said, "waiting for") > strings.Index(said, "turnstile: acquired") {
			t.Errorf("still waiting after the grant: %s", said)
		}
	})
}
