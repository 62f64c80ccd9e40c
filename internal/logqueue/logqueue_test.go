package logqueue_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/logqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is reached by a defect only.
const deadline = 30 * time.Second

// A recorder keeps messages, and does before each whatever a test wants.
type recorder struct {
	before func(message string)

	mu   sync.Mutex // protects what follows
	seen []string
	last slog.Record
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }
func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	if r.before != nil {
		r.before(rec.Message)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen, r.last = append(r.seen, rec.Message), rec
	return nil
}

func (r *recorder) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// attr is the value of an attribute of the last record.
func (r *recorder) attr(key string) (v slog.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			v = a.Value
		}
		return true
	})
	return v
}

// inTime runs f, which must not wait for a handler.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatalf("%s waits", what)
	}
}

func TestRecordsReachTheHandlerAsTheyWereLogged(t *testing.T) {
	var direct, queued bytes.Buffer
	plain := func(out *bytes.Buffer) *slog.Logger {
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	}
	logger, closeQueue := logqueue.Wrap(plain(&queued))
	for _, l := range []*slog.Logger{plain(&direct), logger} {
		l.With("a", 1).WithGroup("g").With("b", 2).Warn("first", "c", 3)
		l.WithGroup("other").Info("second", "d", 4)
		l.Debug("below the handler's level")
		l.Error("third")
	}
	closeQueue()
	logger.Warn("after the close")
	if queued.String() != direct.String() {
		t.Errorf("queued:\n%swant:\n%s", &queued, &direct)
	}
}

func TestAHandlerThatBlocksIsWaitedForByNobody(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{}, 1)
	r := &recorder{before: func(message string) {
		if message == "stuck" {
			entered <- struct{}{}
			<-gate
		}
	}}
	logger, closeQueue := logqueue.Wrap(slog.New(r))
	logger.Warn("stuck")
	<-entered
	const extra = 77
	inTime(t, "a logger", func() {
		for range 1024 + extra {
			logger.Warn("more")
		}
	})
	close(gate)
	inTime(t, "the report", func() {
		for n := 0; n < 1+1024+1; n = len(r.messages()) {
			runtime.Gosched()
		}
	})
	all := r.messages()
	if n := strings.Count(strings.Join(all, "\n"), "more"); n != 1024 {
		t.Errorf("%d records came after the one that blocked, want 1024", n)
	}
	if !strings.Contains(all[1], "dropped") {
		t.Errorf("the handler works again, and the next record is %q", all[1])
	}
	inTime(t, "close", closeQueue)
}

func TestTheCountOfWhatWasDroppedIsKeptUntilItIsTold(t *testing.T) {
	r := &recorder{before: func(message string) {
		if message == "one" || message == "two" {
			panic("a fault in the user's logger")
		}
	}}
	logger, closeQueue := logqueue.Wrap(slog.New(r))
	for _, message := range []string{"one", "two", "three"} {
		logger.Warn(message)
	}
	inTime(t, "close", closeQueue)
	if all := r.messages(); len(all) != 2 || all[0] != "three" || r.attr("dropped").Int64() != 2 {
		t.Errorf("%q, %v dropped; want the third and a report of 2", all, r.attr("dropped"))
	}
}

func TestAHandlerThatEndsItsGoroutineEndsNothingElse(t *testing.T) {
	first := true
	r := &recorder{}
	r.before = func(string) {
		if first {
			first = false
			runtime.Goexit()
		}
	}
	logger, closeQueue := logqueue.Wrap(slog.New(r))
	logger.Warn("one")
	logger.Warn("two")
	inTime(t, "the second record", func() {
		for len(r.messages()) < 2 {
			runtime.Gosched()
		}
	})
	if all := r.messages(); all[0] != "two" || !strings.Contains(all[1], "dropped") {
		t.Errorf("%q", all)
	}
	inTime(t, "close", closeQueue)
}

func TestCloseWaitsForNoHandlerThatBlocks(t *testing.T) {
	gate, entered, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := &recorder{before: func(string) {
		close(entered) // a second call would panic
		<-gate
		close(left)
	}}
	logger, closeQueue := logqueue.Wrap(slog.New(r))
	logger.Warn("stuck")
	<-entered
	logger.Warn("never handed on")
	inTime(t, "close", closeQueue)
	close(gate)
	<-left
}

func TestWhatDiscardsIsNotQueued(t *testing.T) {
	for _, l := range []*slog.Logger{nil, slog.New(slog.DiscardHandler)} {
		logger, closeQueue := logqueue.Wrap(l)
		if logger.Enabled(t.Context(), slog.LevelError) {
			t.Error("records are made for nobody")
		}
		closeQueue()
	}
}

// Who wraps a logger that is wrapped already must not close it for the others.
func TestALoggerIsWrappedOnce(t *testing.T) {
	r := &recorder{}
	logger, closeQueue := logqueue.Wrap(slog.New(r))
	again, closeAgain := logqueue.Wrap(logger)
	if again != logger {
		t.Error("it is wrapped twice")
	}
	closeAgain()
	logger.Warn("still open")
	closeQueue()
	if all := r.messages(); len(all) != 1 {
		t.Errorf("%q", all)
	}
}

// Regression: a handler that was blocked until after the end of Close, with more records
// behind it than the queue takes, was then told how many had been dropped.
func TestNothingIsHandedOnAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		calls := 0
		logger, closeLog := logqueue.Wrap(slog.New(gated{gate, &calls}))
		for range 1026 {
			logger.Warn("w")
		}
		closeLog()
		close(gate)
		synctest.Wait()
		if calls != 1 {
			t.Errorf("%d calls of the handler, want the one that was under way", calls)
		}
	})
}

// A gated handler takes a record when its gate is open, and counts those it was given.
type gated struct {
	gate  chan struct{}
	calls *int
}

func (gated) Enabled(context.Context, slog.Level) bool { return true }
func (g gated) WithAttrs([]slog.Attr) slog.Handler     { return g }
func (g gated) WithGroup(string) slog.Handler          { return g }
func (g gated) Handle(context.Context, slog.Record) error {
	*g.calls++
	<-g.gate
	return nil
}
