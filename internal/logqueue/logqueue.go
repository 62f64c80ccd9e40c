// Package logqueue keeps a slog handler, which is the user's code, out of the way of
// locks. A handler may block on a full pipe, panic, or call back into the client that
// logs; nothing that ends a hold may wait for it.
//
// Records go to a bounded queue, and one goroutine hands them to the handler in their
// order. Records that don't fit are dropped and counted, and the count is logged
// when the handler works again.
package logqueue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// capacity is how many records wait for a handler that is slow or blocked.
	capacity = 1024
	// patience bounds how long Close waits for the handler to take what is queued.
	patience = 250 * time.Millisecond
)

// A queue is one handler's. Its goroutine runs only while records are there, so that
// a client that logs nothing has none.
type queue struct {
	to slog.Handler

	mu      sync.Mutex // protects what follows; never held while the handler runs
	waiting []entry
	dropped int           // records since the handler last took one
	idle    chan struct{} // closed when the goroutine that runs now ends; nil if none runs
	closed  bool          // nothing more is queued
	over    bool          // nor handed on: close has waited long enough
}

// An entry is a record, and the handler that it is for: to, or one derived from it.
type entry struct {
	ctx    context.Context
	record slog.Record
	derive []derivation
}

// A derivation is a call of WithAttrs or WithGroup. The user's handler gets it with
// the record, on the goroutine of the queue.
type derivation func(slog.Handler) slog.Handler

// Wrap returns a logger that hands its records to l's handler in the background,
// and a function that closes it. Closing waits at most 250 ms for the handler,
// which gets nothing afterwards. A logger that Wrap has made is returned as it is,
// and stays open. A nil logger discards.
func Wrap(l *slog.Logger) (logger *slog.Logger, closeQueue func()) {
	nothing := func() {}
	if l == nil || l.Handler() == slog.DiscardHandler {
		return slog.New(slog.DiscardHandler), nothing
	}
	if _, ok := l.Handler().(*handler); ok {
		return l, nothing
	}
	q := &queue{to: l.Handler()}
	return slog.New(&handler{q: q}), q.close
}

// A handler is the queue's end that loggers see. It calls nothing of the user's.
type handler struct {
	q      *queue
	derive []derivation
}

// Enabled implements slog.Handler. The user's handler is asked in the background.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler. It never waits.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	h.q.put(entry{context.WithoutCancel(ctx), r.Clone(), h.derive})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *handler) with(d derivation) slog.Handler {
	return &handler{h.q, append(h.derive[:len(h.derive):len(h.derive)], d)}
}

func (q *queue) put(e entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case len(q.waiting) >= capacity:
		q.dropped++
	default:
		q.waiting = append(q.waiting, e)
		q.startLocked()
	}
}

func (q *queue) startLocked() {
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.drain() // ends when nothing is queued; a call of the handler that never returns keeps it
	}
}

// drain hands on what is queued. A handler may end its goroutine (runtime.Goexit): then
// another one goes on.
func (q *queue) drain() {
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		close(q.idle)
		q.idle = nil
		if len(q.waiting) > 0 {
			q.startLocked()
		}
	}()
	for {
		e, ok := q.next()
		if !ok {
			return
		}
		if q.hand(e) {
			q.report()
		}
	}
}

func (q *queue) next() (e entry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil // lets go of the array of a burst
		return entry{}, false
	}
	e, q.waiting[0] = q.waiting[0], entry{}
	q.waiting = q.waiting[1:]
	return e, true
}

// hand gives one record to the handler. A record that it panics on is a dropped one.
func (q *queue) hand(e entry) (taken bool) {
	defer func() {
		if !taken {
			_ = recover() // the user's fault, and nothing of ours depends on it
			q.mu.Lock()
			q.dropped++
			q.mu.Unlock()
		}
	}()
	to := q.to
	for _, d := range e.derive {
		to = d(to)
	}
	if to.Enabled(e.ctx, e.record.Level) {
		_ = to.Handle(e.ctx, e.record) // an error is the handler's to tell, as anywhere in slog
	}
	return true
}

// report says how many records were dropped, once the handler takes records again.
func (q *queue) report() {
	q.mu.Lock()
	n, over := q.dropped, q.over
	q.dropped = 0
	q.mu.Unlock()
	if n == 0 || over {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log records were dropped: the handler blocked or panicked", 0)
	r.AddAttrs(slog.Int("dropped", n))
	if !q.hand(entry{ctx: context.Background(), record: r}) {
		q.mu.Lock()
		q.dropped += n - 1 // hand has counted the report itself
		q.mu.Unlock()
	}
}

// close drops later records, waits for patience until the handler has taken the
// queued ones, and drops the rest.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting, q.over = nil, true
}
