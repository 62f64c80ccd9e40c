//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

const (
	// noticeable is a wait that a person wonders about; a shorter one is not spoken of.
	noticeable = 200 * time.Millisecond
	// askAgain is how often the backend is asked: as often as a line can follow another.
	askAgain = time.Second
	// sayAgain is how long nothing is said while nothing changes.
	sayAgain = 10 * time.Second
	// askFor bounds one question. The next one comes all the same.
	askFor = 2 * time.Second
)

// A waiting is a wait for a key, told to whoever asked for it with -v: in whose
// hands the key is, and at which place of the queue we are. It asks beside the
// acquire, which never waits for it.
type waiting struct {
	// Set by the caller, then immutable.
	key     string
	awaited func() string // of several keys, the one that is waited for now; nil: key
	inspect func(ctx context.Context, key string) (lockclient.Info, error)
	log     *slog.Logger

	mu   sync.Mutex // protects over, and keeps a line from coming after the end
	over bool

	// Owned by tell.
	last   string    // what was told, but for how long it has been so
	told   time.Time // when
	failed bool      // that it can't be told was told
}

// start begins to tell; end ends it at once.
func (w *waiting) start(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with ctx, or shortly after: when the backend has answered
		pause := time.NewTimer(noticeable)
		defer pause.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
				w.tell(ctx)
				pause.Reset(askAgain)
			}
		}
	}()
	return func() {
		w.mu.Lock()
		w.over = true
		w.mu.Unlock()
		cancel()
	}
}

// tell asks, and says what has changed, or the same again after a while.
func (w *waiting) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	key := w.key
	if w.awaited != nil {
		key = w.awaited()
	}
	info, err := w.inspect(ctx, key)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch now := time.Now(); {
	case w.over:
	case err != nil:
		if !w.failed { // once: the acquire says what is wrong when it gives up
			w.log.Info(fmt.Sprintf("waiting for %q: who holds it is not known", key), "cause", err)
			w.failed = true
		}
	case key+who(info)+place(info) != w.last || now.Sub(w.told) >= sayAgain:
		w.last, w.told = key+who(info)+place(info), now
		w.log.Info(fmt.Sprintf("waiting for %q: %s%s%s", key, who(info), since(info), place(info)))
	}
}

// who is in whose hands a key is.
func who(i lockclient.Info) string {
	switch {
	case !i.Held:
		return "it is between two holders"
	case i.Foreign:
		return "held by another library's client"
	case i.Resting:
		return "it rests" + after(i.Holder)
	case i.Kind != lockclient.KindExclusive:
		return together(i.Kind, i.Out)
	case i.Holder == nil || *i.Holder == "":
		return "held"
	}
	return "held by " + printable(*i.Holder)
}

// since is for how long, and under which fence; for how long a key still rests.
func since(i lockclient.Info) string {
	s := ""
	if i.Resting {
		return moreRest(i)
	}
	if i.Held {
		s = heldSince(i)
	}
	switch {
	case i.Held && i.Kind != lockclient.KindExclusive && i.Holder != nil:
		s += amongThem(i.Out, *i.Holder)
	case i.Held && !i.Foreign && i.Fence != nil:
		s += " (fence " + strconv.FormatUint(*i.Fence, 10) + ")"
	}
	return s
}

// place is where in the queue of processes we are, as far as the backend knows.
func place(i lockclient.Info) string {
	switch {
	case i.Processes == nil || *i.Processes == 0:
		return ""
	case i.Place == nil || *i.Place > *i.Processes: // the two were not asked in the same moment
		return ", " + several(*i.Processes, "waiting process")
	}
	return fmt.Sprintf(", %s of %s", ordinal(*i.Place), several(*i.Processes, "waiting process"))
}

// ordinal is 1st, 2nd, 3rd, 4th, 11th, 21st.
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
