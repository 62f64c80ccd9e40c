package actors

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// An invoker handles a mailbox's messages by a function of the test's.
type invoker struct {
	user   func(any)
	system atomic.Int64
}

func (i *invoker) InvokeSystemMessage(any) { i.system.Add(1) }
func (i *invoker) InvokeUserMessage(any)   { panic("the way of messages is the receiver's") }
func (i *invoker) receive(m any)           { i.user(m) }
func (i *invoker) EscalateFailure(any, any) {
	panic("no actor of these tests fails")
}

func newMailbox(t *testing.T, user func(any)) (*mailbox, *invoker) {
	t.Helper()
	m, i, d := &mailbox{}, &invoker{user: user}, newDispatcher()
	m.RegisterHandlers(i, d)
	m.receiver = i
	t.Cleanup(d.Close)
	return m, i
}

// A note is the nth message of a goroutine.
type note struct{ from, n int }

// TestMessagesOfAGoroutineStayInOrder posts in all ways at once: none overtakes an
// earlier one of its goroutine, none is lost, and no two are handled at a time.
func TestMessagesOfAGoroutineStayInOrder(t *testing.T) {
	const senders, each = 16, 20_000
	var busy atomic.Bool
	var handled sync.WaitGroup
	handled.Add(senders * each)
	last := make([]int, senders) // protected by the mailbox: one message at a time
	m, _ := newMailbox(t, func(message any) {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two at a time")
		}
		n := message.(note)
		if n.n != last[n.from]+1 {
			t.Errorf("message %d of goroutine %d after %d", n.n, n.from, last[n.from])
		}
		last[n.from] = n.n
		busy.Store(false)
		handled.Done()
	})
	var posted sync.WaitGroup
	for from := range senders {
		posted.Go(func() {
			for n := range each {
				switch rand.N(5) {
				case 0:
					m.PostUserMessage(note{from, n + 1})
				case 1:
					m.work(note{from, n + 1})
				default:
					m.run(note{from, n + 1})
				}
				if rand.N(64) == 0 {
					runtime.Gosched() // so that the mailbox is idle now and then
				}
			}
		})
	}
	posted.Wait()
	handled.Wait()
}

// goroutine names the goroutine that calls it.
func goroutine() string {
	var b [64]byte
	name, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte(" ["))
	return string(name)
}

// TestACallerHandlesFewMessagesOfOthers posts a hundred while a caller handles its own.
func TestACallerHandlesFewMessagesOfOthers(t *testing.T) {
	var m *mailbox
	var handled sync.WaitGroup
	handled.Add(101)
	caller, byCaller := goroutine(), 0
	m, _ = newMailbox(t, func(message any) {
		if goroutine() == caller {
			byCaller++
		}
		if message == "the caller's" {
			for range 100 {
				m.PostUserMessage("another's")
			}
		}
		handled.Done()
	})
	m.run("the caller's")
	handled.Wait()
	if byCaller == 0 || byCaller > 1+inlineMore {
		t.Errorf("the caller handled %d messages, want its own and at most %d more", byCaller, inlineMore)
	}
}

// TestNoMessageRunsInsideAnother posts from within a step, as an embedded backend does
// with its own locks held, to the same key and to others.
func TestNoMessageRunsInsideAnother(t *testing.T) {
	const keys, rounds = 4, 1000
	boxes := make([]*mailbox, keys)
	var running [keys]atomic.Bool
	var store sync.Mutex // as that of an embedded store, which a step's call takes
	var handled sync.WaitGroup
	handled.Add(keys * rounds)
	for i := range boxes {
		boxes[i], _ = newMailbox(t, func(message any) {
			if !running[i].CompareAndSwap(false, true) {
				t.Error("a message ran inside another of its key")
			}
			store.Lock()
			if left := message.(int); left > 0 {
				boxes[(i+1)%keys].PostUserMessage(left - 1) // a push
				boxes[i].run(-1)                            // its own key's: queued behind this one
			}
			store.Unlock()
			running[i].Store(false)
			if message.(int) >= 0 {
				handled.Done()
			}
		})
	}
	for _, m := range boxes {
		m.run(rounds - 1)
	}
	handled.Wait()
}

// TestASystemMessageIsAWorkers: Stop ends the actor, and Close waits for workers.
func TestASystemMessageIsAWorkers(t *testing.T) {
	var m *mailbox
	stopped := make(chan string, 1)
	m, i := newMailbox(t, func(any) { m.PostSystemMessage(&actor.Stop{}) })
	m.invoker = systemInvoker{i, func() { stopped <- goroutine() }}
	m.run("the caller's")
	if by := <-stopped; by == goroutine() || !strings.HasPrefix(by, "goroutine ") {
		t.Errorf("Stop is handled by %s, the caller", by)
	}
}

// systemInvoker tells of each system message.
type systemInvoker struct {
	*invoker
	told func()
}

func (s systemInvoker) InvokeSystemMessage(any) { s.told() }

// A tellingReceiver tells of each message who handles it.
type tellingReceiver struct {
	receiver
	told func(message any)
}

func (r tellingReceiver) receive(message any) {
	r.told(message)
	r.receiver.receive(message)
}

// TestACrowdRunsNoSteps lets waiters come one by one on a held key, so that each finds
// the mailbox idle. The first of them handle their acquires themselves; the many that
// may follow keep the stacks that they have. Time is virtual: a tick that came between
// would have the mailbox.
func TestACrowdRunsNoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * crowd
		c := newCoordinator(t, &grantAll{}, Config{MaxWaiters: n})
		holder := hold(t, c, Spec{Expires: time.Hour})
		synctest.Wait() // the actor is idle
		by := make(chan string, 1)
		m := holder.entry.mailbox
		m.mu.Lock()
		m.receiver = tellingReceiver{m.receiver, func(message any) {
			if _, ok := message.(acquire); ok {
				by <- goroutine()
			}
		}}
		m.mu.Unlock()
		for i := range n {
			self := make(chan string, 1)
			go func() {
				self <- goroutine()
				h := begin(t, c, Spec{Expires: time.Hour})
				if _, err := h.Wait(nil); err != nil {
					t.Error(err)
				} else if err := h.Release(); err != nil {
					t.Error(err)
				}
			}()
			own := <-self == <-by
			synctest.Wait() // it waits, and the actor is idle
			if few := i < crowd; own != few {
				t.Errorf("acquire %d is handled where it is: %v, want %v", i, own, few)
			}
		}
		if err := holder.Release(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// A worker that has many mailboxes to look at is not kept by one that is never empty.
func TestWorkLeavesAMailboxThatIsNeverEmpty(t *testing.T) {
	var m *mailbox
	var enough atomic.Bool
	m, _ = newMailbox(t, func(message any) {
		if !enough.Load() {
			m.PostUserMessage(message)
		}
	})
	m.work(note{}) // or it never returns
	enough.Store(true)
}
