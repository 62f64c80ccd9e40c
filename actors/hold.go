package actors

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// A Spec is what a caller asks of an acquire.
type Spec = machine.Spec

// The stages of a question to the actor: an acquire, and later the release. The actor
// mostly answers while the caller posts it, and then nobody has to be woken. So a caller
// parks, with a channel, only if it finds no answer.
//
//	waiting → settled             answered before the caller looked
//	waiting → parked → settled    the answer wakes the caller
//	waiting, parked → abandoned   the caller of an acquire gave up
//
// Each step is a compare-and-swap, so whoever is first decides the race between a grant
// and the caller's giving up:
//
//	actor grants, caller gives up   grant wins: the caller finds a hold and gives it back
//	caller gives up, actor grants   abandon wins: the actor drops the waiter and grants the next
//
// There is no third order, so no hold is ever left with nobody.
const (
	waiting uint32 = iota
	parked
	settled // the actor answered: granted, or an error
	abandoned
)

// A Hold is one caller's acquire and, once granted, its possession of a key.
// The zero value is ready for Coordinator.Begin; it must not be copied or used
// twice. It is one object from acquire to release so that a hold costs one
// allocation beside its messages.
type Hold struct {
	entry *entry // set by Begin, then immutable

	// reply is set by the caller before it parks; the actor reads it while stage
	// is parked. See directory.replies.
	reply chan struct{}
	// answer is the actor's until stage is settled, and then the caller's.
	answer error

	// Owned by the actor, but for Spec, and for Fence and Granted, which are immutable
	// once the acquire is answered. Over is read by a release that was answered.
	state machine.Hold

	stage    atomic.Uint32
	released atomic.Bool // the first Release won
	shared   atomic.Bool // it was downgraded
	ended    bool        // protected by mu
	told     bool        // wanted is closed; protected by mu

	mu       sync.Mutex // protects what follows, ended and told
	deadline instant    // written by the actor
	cause    error
	life     *lifetime     // nil before the first Context
	wanted   chan struct{} // nil before the first Wanted
}

// A lifetime is the context that ends with a hold.
type lifetime struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Wait blocks until the acquire has its outcome, nil for a grant, or until done
// is closed: then decided is false, and the caller has to Abandon.
func (h *Hold) Wait(done <-chan struct{}) (decided bool, err error) {
	if h.stage.Load() == settled || !h.park() {
		return true, h.answer
	}
	if done == nil {
		<-h.reply
	} else {
		select {
		case <-h.reply:
		case <-done:
			return false, nil
		}
	}
	h.recycle()
	return true, h.answer
}

// park has the answer wake the caller. It returns false if the answer is there.
func (h *Hold) park() bool {
	h.reply = h.entry.dir.replies.Get().(chan struct{})
	if h.stage.CompareAndSwap(waiting, parked) {
		return true
	}
	h.recycle()
	return false
}

// recycle gives the reply channel back, after its one answer was taken, or if none will
// ever come.
func (h *Hold) recycle() {
	h.entry.dir.replies.Put(h.reply)
	h.reply = nil
}

// settle answers the caller. It returns false if the caller has given up, or was answered
// before: after a panic it may be answered twice. The actor calls it.
func (h *Hold) settle(err error) bool {
	for {
		switch h.stage.Load() {
		case waiting:
			h.answer = err
			if h.stage.CompareAndSwap(waiting, settled) {
				return true
			}
		case parked:
			h.answer = err
			reply := h.reply // not after the swap: from then on it is the caller's
			if h.stage.CompareAndSwap(parked, settled) {
				reply <- struct{}{}
				return true
			}
		default:
			return false
		}
	}
}

// Abandon gives the acquire up. It returns false if the outcome was decided
// before; then Wait has the outcome, and a grant has to be released.
func (h *Hold) Abandon() bool {
	if !h.abandon() {
		return false
	}
	h.entry.post(abandon{h})
	return true
}

func (h *Hold) abandon() bool {
	return h.stage.CompareAndSwap(parked, abandoned) || h.stage.CompareAndSwap(waiting, abandoned)
}

// AbandonWhy is Abandon, and tells what the acquire was waiting for.
func (h *Hold) AbandonWhy() (WaitError, bool) {
	if !h.abandon() {
		return WaitError{}, false
	}
	why := make(chan WaitError, 1)
	if !h.entry.post(explain{h, why}) {
		return WaitError{Key: h.entry.key}, true // the actor dropped the waiter and has retired since
	}
	return <-why, true
}

// Leave waits until nothing of an acquire that got no hold is left in the backend's
// queue, if the backend computes in place: then it is done once the actor has
// handled all earlier messages. Elsewhere it takes a round trip, and nobody waits
// for it.
func (h *Hold) Leave() {
	if !h.state.Spec.Try { // one try leaves nothing
		h.settleHere()
	}
}

// Key is the key as it was given to Coordinator.Begin.
func (h *Hold) Key() string { return h.entry.key }

// Fence is the hold's fence.
func (h *Hold) Fence() uint64 { return h.state.Fence }

// Deadline is when the hold ends unless it is renewed or extended.
func (h *Hold) Deadline() time.Time {
	h.mu.Lock()
	deadline := h.deadline
	h.mu.Unlock()
	return h.entry.dir.clock.time(deadline)
}

// Context returns parent without its cancellation; it ends when the hold does,
// with the cause of that. It is made on the first call: most holds need none.
func (h *Hold) Context(parent context.Context) context.Context {
	h.mu.Lock()
	if h.life == nil {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
		h.life = &lifetime{ctx, cancel}
		if h.ended {
			cancel(h.cause)
		}
	}
	ctx, over := h.life.ctx, h.ended || h.entry.dir.clock.now() >= h.deadline
	h.mu.Unlock()
	if over {
		// The process was stopped or suspended and looks before its timers ran; or
		// while they do, and whoever ends it has not come to cancel its context.
		h.end(backends.ErrExpired)
	}
	return ctx
}

// Wanted returns a channel that is closed when others wait for the key, or when the
// hold ends. Like the context it is made on the first call, and only then the actor
// is asked: a hot key would pay for each of its holds otherwise.
func (h *Hold) Wanted() <-chan struct{} {
	h.mu.Lock()
	first := h.wanted == nil
	if first {
		h.wanted = make(chan struct{})
	}
	wanted := h.wanted
	h.mu.Unlock()
	if first && !h.entry.answer(watch{h}) {
		h.want() // the actor has retired, so the hold is over
	}
	return wanted
}

// want closes the channel of Wanted, if there is one.
func (h *Hold) want() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wanted != nil && !h.told {
		h.told = true
		close(h.wanted)
	}
}

// end marks the hold as ended, for the first cause given. When it returns nobody
// is shown that it goes on, also if somebody else is about to end it: to cancel
// again changes nothing.
func (h *Hold) end(cause error) {
	h.mu.Lock()
	if !h.ended {
		h.ended, h.cause = true, cause
	}
	cause, life, wanted := h.cause, h.life, h.wanted
	h.mu.Unlock()
	if life != nil {
		life.cancel(cause)
	}
	if wanted != nil {
		h.want() // last: the context of a hold that ended has ended for those who see it
	}
}

// publish shows a deadline that has moved. The actor calls it.
func (h *Hold) publish() {
	h.mu.Lock()
	h.deadline = h.state.Deadline
	h.mu.Unlock()
}

// Release ends the hold. It returns nil once the key is free in the backend, has
// its next holder, or lingers. It returns ErrNotHeld if the hold had already ended
// (and ErrRevoked, if it was revoked), and ErrUnavailable if the backend did not
// answer within 2 s or the rest of the lease: the release is then retried in the
// background until the lease ends.
func (h *Hold) Release() error {
	if err := h.letGo(h.entry.run); err != nil {
		return err
	}
	return h.gone()
}

// letGo posts the release. With an error there was none to post.
func (h *Hold) letGo(post func(any) bool) error {
	if !h.released.CompareAndSwap(false, true) {
		return backends.ErrNotHeld
	}
	h.stage.Store(waiting)
	if !post(release{h}) {
		h.entry.dir.late(h)
		return h.state.Outcome(backends.ErrNotHeld) // the actor has retired, so the hold is over
	}
	return nil
}

// gone waits for what became of the release.
func (h *Hold) gone() error {
	_, err := h.Wait(nil)
	if err != nil {
		h.entry.dir.late(h)
	}
	if h.state.Lingers && h.state.Fence%yieldEvery == 0 {
		runtime.Gosched()
	}
	return err
}

// yieldEvery is how often a caller that takes and releases a lingering key lets other
// goroutines run. It never waits, so without that it could have the key for all of its
// 10 ms on a processor, some 10 000 holds, before others of the same processor ask once.
const yieldEvery = 64

// Discard gives back a hold that its caller doesn't want, and waits for nothing.
func (h *Hold) Discard() {
	if h.released.CompareAndSwap(false, true) {
		h.state.Unused = true
		h.stage.Store(waiting) // nobody parks for the answer
		h.entry.answer(release{h})
	}
}

// Extend makes the deadline now + d, never earlier than it was. The errors are
// ErrNotHeld, ErrInvalid for a d that no hold may last, and ErrUnavailable when
// the backend did not confirm a longer lease within 2 s or the rest of the hold.
func (h *Hold) Extend(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%w: extend by %v: must be positive", backends.ErrInvalid, d)
	}
	done := make(chan error, 1)
	if h.released.Load() {
		return backends.ErrNotHeld
	}
	if !h.entry.post(extend{&machine.Extension{Hold: &h.state, By: d, Tag: done}}) {
		return h.state.Outcome(backends.ErrNotHeld)
	}
	return <-done
}

// Check asks the backend whether the hold is still ours, by a renewal that makes no
// lease shorter. It returns nil if it is, ErrNotHeld if it is not, and
// ErrUnavailable if there was no answer within 2 s, the rest of the hold, or ctx.
// An error by ctx matches ctx's own as well.
func (h *Hold) Check(ctx context.Context) error {
	if h.released.Load() {
		return backends.ErrNotHeld
	}
	done := make(chan error, 1)
	if !h.entry.post(extend{&machine.Extension{Hold: &h.state, Check: true, Tag: done}}) {
		return h.state.Outcome(backends.ErrNotHeld)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return backends.Interrupted(ctx, "check")
	}
}
