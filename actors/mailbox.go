package actors

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is a key actor's: messages in the order in which they were posted,
// never lost, without an allocation each. protoactor's own lock-free one makes a
// node for each message and a closure for each wake-up, which is 4 of what was
// 5 allocations a hold, and goes idle between the two messages of every hold.
type mailbox struct {
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	run        func() // process, bound once

	scheduled atomic.Bool // process runs, or is about to

	mu     sync.Mutex // protects what follows
	system []any
	user   []any
	spare  []any // the last batch, emptied
}

// kept is the capacity a drained mailbox keeps: a burst of a hundred thousand
// waiters must not stay with the key.
const kept = 16

func (m *mailbox) init() actor.Mailbox {
	m.run = m.process
	return m
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user)
}

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	m.user = append(m.user, message)
	m.mu.Unlock()
	m.schedule()
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.mu.Unlock()
	m.schedule()
}

func (m *mailbox) schedule() {
	if m.scheduled.CompareAndSwap(false, true) {
		m.dispatcher.Schedule(m.run)
	}
}

// process handles what is there. Before it goes idle it yields once: whoever was
// just granted the key gets to run, and its release is often the next message, so
// that a busy key wakes nobody.
func (m *mailbox) process() {
	for {
		for m.batch() {
		}
		runtime.Gosched()
		if m.batch() {
			continue
		}
		m.scheduled.Store(false)
		// A message posted before the store saw true and left it to us; one
		// posted after it schedules again, unless we take it here first.
		if m.empty() || !m.scheduled.CompareAndSwap(false, true) {
			return
		}
	}
}

func (m *mailbox) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user) == 0 && len(m.system) == 0
}

// batch handles the messages that are there now; it returns false if there
// were none. System messages come first: there are only Started and Stop, and a
// key actor stops itself when it knows that no message is left.
func (m *mailbox) batch() bool {
	m.mu.Lock()
	system, user := m.system, m.user
	m.system, m.user, m.spare = nil, m.spare, nil
	m.mu.Unlock()
	for _, message := range system {
		m.invoker.InvokeSystemMessage(message)
	}
	for i, message := range user {
		user[i] = nil
		m.invoker.InvokeUserMessage(message)
	}
	if cap(user) > 0 && cap(user) <= kept {
		m.mu.Lock()
		m.spare = user[:0]
		m.mu.Unlock()
	}
	return len(system)+len(user) > 0
}
