package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is a key actor's: messages in the order in which they were posted,
// never lost, without an allocation each. protoactor's own lock-free one makes a
// node for each message and a closure for each wake-up, which is 4 of what was
// 5 allocations a hold, and goes idle between the two messages of every hold.
//
// # A message runs where it is
//
// A goroutine that posts a message with run handles it itself, if nothing is before
// it. So a free key costs no goroutine switch, and a handoff costs one: that to the
// next holder. The rules, and why they are enough:
//
//   - Order. Under mu, a message is handled at once only if nothing is queued and
//     nobody runs. Otherwise a goroutine's later message could pass its earlier one. A
//     worker that finds the mailbox empty gives it back in the same critical section,
//     so there is no time in which it is idle and a message is queued.
//   - None is lost. Whoever runs gives the mailbox back under mu, with nothing queued,
//     or goes on, or schedules a worker, which runs from then on.
//   - Nobody is held up. A caller handles its own message and at most inlineMore of
//     those that came meanwhile; the rest is a worker's. No step blocks: it makes no
//     call but to a backend that only computes, and no user's code runs in it. A caller
//     makes a call that its own message began, if the backend has nobody else on the
//     way (backends.Starter), after giving the mailbox back, and for the time that the
//     backend bounds (200 ms on Redis): so it notices its ctx in time.
//   - Nothing re-enters. A step sends on channels with a free slot, and posts nothing.
//     A backend may push from inside a call that a step makes, with its locks held:
//     pushes are posted with PostUserMessage, which runs nothing. So are messages of
//     the system and of timers.
//   - Stacks. A goroutine may have to grow its stack for a step, and keeps that while
//     it waits. So acquires run where they are only while few wait: see entry.
//
// The actor gets its messages straight from here. protoactor's way to it looks for
// middleware, metrics and a timeout at each. It does what happens once in an actor's
// life: its start, its stop and its name.
type mailbox struct {
	receiver   receiver
	pid        *actor.PID // the actor's name
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	worker     func() // process, bound when it is first scheduled; owned by whoever runs

	// lone is what remains of a call that the last step began, if nobody else is on the
	// way to the backend. It is owned by whoever runs, who makes it after giving the
	// mailbox back: a call blocks.
	lone *started

	mu      sync.Mutex // protects what follows
	running bool       // somebody handles messages, or is about to
	system  []any
	user    []any
	spare   []any // the last batch, emptied
}

// A receiver handles a mailbox's messages: the key actor, but for tests.
type receiver interface{ receive(message any) }

const (
	// kept is the capacity a drained mailbox keeps: a burst of a hundred thousand
	// waiters must not stay with the key.
	kept = 16
	// inlineMore is how many messages of others a caller handles behind its own. They
	// would cost the caller more to hand over: a worker is woken for 1 µs or more.
	inlineMore = 4
)

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

// PostUserMessage implements actor.Mailbox. A worker handles the message.
func (m *mailbox) PostUserMessage(message any) {
	m.mu.Lock()
	m.user = append(m.user, message)
	m.scheduleLocked()
}

// PostSystemMessage implements actor.Mailbox. There are only Started, of which the actor
// makes nothing, and Stop, when it knows that no message is left.
func (m *mailbox) PostSystemMessage(message any) {
	if _, ok := message.(*actor.Started); ok {
		return
	}
	m.mu.Lock()
	m.system = append(m.system, message)
	m.scheduleLocked()
}

// scheduleLocked has a worker handle what is there, unless somebody does. It unlocks.
func (m *mailbox) scheduleLocked() {
	was := m.running
	m.running = true
	m.mu.Unlock()
	if !was {
		m.schedule()
	}
}

// schedule has a worker go on. It is called by whoever runs.
func (m *mailbox) schedule() {
	if m.worker == nil {
		m.worker = m.process
	}
	m.dispatcher.Schedule(m.worker)
}

// run handles a message on the caller's goroutine if nothing is before it. Otherwise
// it is posted. If run returns a call, its rest is the caller's to make.
func (m *mailbox) run(message any) (lone *started) {
	m.mu.Lock()
	if m.running {
		m.user = append(m.user, message)
		m.mu.Unlock()
		return nil
	}
	m.running = true
	m.mu.Unlock()
	m.receiver.receive(message) // it recovers from its own panics
	lone, m.lone = m.lone, nil
	for range inlineMore {
		next := m.next()
		if next == nil {
			return lone
		}
		m.handle(next)
	}
	if !m.rest() {
		m.schedule()
	}
	return lone
}

// work is run on a worker's goroutine, which has other mailboxes to look at: a Stop that
// follows is handled at once, and a mailbox that is never empty is left to a worker of its own.
func (m *mailbox) work(message any) {
	m.mu.Lock()
	if m.running {
		m.user = append(m.user, message)
		m.mu.Unlock()
		return
	}
	m.running = true
	m.mu.Unlock()
	m.handle(message)
	m.batch()
	if !m.rest() {
		m.schedule()
	}
}

// handle handles a message of another goroutine's, and leaves a call that it begins to
// a worker.
func (m *mailbox) handle(message any) {
	m.receiver.receive(message)
	if s := m.lone; s != nil {
		m.lone = nil
		m.hand(s)
	}
}

// hand has a worker make the rest of a call.
func (m *mailbox) hand(s *started) {
	m.dispatcher.Schedule(s.alone) // ends with the call
}

// next takes the message that was posted first. If it returns nil, the caller's turn
// has ended: nothing is there, or the system's message, which a worker handles.
func (m *mailbox) next() any {
	m.mu.Lock()
	if len(m.system) > 0 {
		m.mu.Unlock()
		m.schedule()
		return nil
	}
	defer m.mu.Unlock()
	if len(m.user) == 0 {
		m.running = false
		return nil
	}
	message, last := m.user[0], len(m.user)-1
	if last < kept {
		copy(m.user, m.user[1:]) // few: their array is used again
		m.user[last] = nil
		m.user = m.user[:last]
	} else {
		m.user[0] = nil
		m.user = m.user[1:]
	}
	return message
}

// process handles what is there, on a worker.
func (m *mailbox) process() {
	for m.batch() || !m.rest() {
	}
}

// rest gives the mailbox back, unless something is there.
func (m *mailbox) rest() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = len(m.system)+len(m.user) > 0
	return !m.running
}

// batch handles the messages that are there now; it returns false if there
// were none. System messages come first.
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
		m.handle(message)
	}
	if cap(user) > 0 && cap(user) <= kept {
		m.mu.Lock()
		m.spare = user[:0]
		m.mu.Unlock()
	}
	return len(system)+len(user) > 0
}
