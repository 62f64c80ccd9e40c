package actors

import (
	"github.com/turnstile-go/turnstile/actors/machine"
	"github.com/turnstile-go/turnstile/backends"
)

// The messages of a key actor: a closed set. Those that carry one pointer
// are sent as a struct of that pointer, which Go stores in an interface without
// allocating. All of them go through entry.post, which counts them.
type (
	// acquire is sent by Coordinator.Begin. The answer is the hold's: nil for a grant,
	// or why there will be none.
	acquire struct{ hold *Hold }

	// abandon is sent by a caller that gave up, after its compare-and-swap won
	// against a grant. No answer, unless why is asked for.
	abandon struct{ hold *Hold }

	// explain is an abandon whose sender wants to know what it waited for.
	explain struct {
		hold *Hold
		why  chan<- WaitError // one slot
	}

	// barrier is sent by Hold.Leave; done is closed when all messages posted before
	// it have been handled.
	barrier struct{ done chan<- struct{} }

	// release is sent by Hold.Release, once a hold. The answer is the hold's.
	release struct{ hold *Hold }

	// extend is sent by Hold.Extend and Hold.Check; its answer comes on done.
	extend struct{ *machine.Extension }

	// downgrade is sent by Hold.Downgrade; its answer comes on done.
	downgrade struct{ *machine.Extension }

	// watch is sent by the first Hold.Wanted of a hold; the answer is that its channel is
	// closed.
	watch struct{ hold *Hold }

	// disown is sent by Coordinator.Revoke; its answer comes on done.
	disown struct{ *machine.Disowning }

	// result is sent by the goroutine that made a backend call.
	result struct{ *machine.Call }

	// wake is sent when the backend pushed something about the key.
	wake struct{ *backends.Wake }

	// repetition is sent by Coordinator.repeat.
	repetition struct{ *machine.Repeated }

	// tick is sent by the actor's own timer.
	tick struct{}

	// sweep is sent to an actor that has been idle for a while: it may retire.
	sweep struct{}

	// snapshot asks for what the actor knows; the answer comes on reply.
	snapshot struct{ reply chan<- Info }

	// shutdown is sent by Coordinator.Close: waiters fail, leases are released.
	shutdown struct{}
)
