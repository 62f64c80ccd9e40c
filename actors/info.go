package actors

import "github.com/turnstile-go/turnstile/actors/machine"

// Info is what a key actor knows of its key.
type Info struct {
	Key string
	machine.Info
}

func (a *keyActor) info(now instant) Info {
	return Info{Key: a.entry.key, Info: a.machine.Info(now)}
}

func (a *keyActor) waitError(h *Hold, w machine.Why) WaitError {
	return WaitError{
		Key: a.entry.key, Waited: w.Waited, Try: h.state.Spec.Try,
		Place: w.Place, Queue: w.Queue, Process: w.Process,
		Held: w.Held, Holder: w.Holder, Local: w.Local, HeldFor: w.HeldFor, Kind: w.Kind, Out: w.Out,
		Silent: w.Silent, Err: w.Err,
	}
}

// Lookup asks the key's actor what it knows; ok is false if the key has none.
func (c *Coordinator) Lookup(key string) (Info, bool) {
	e := c.directory.find(key)
	if e == nil {
		return Info{}, false
	}
	return e.lookup()
}

func (e *entry) lookup() (Info, bool) {
	reply := make(chan Info, 1)
	if !e.post(snapshot{reply}) {
		return Info{}, false
	}
	return <-reply, true
}

// Keys calls yield for each key that is held here or waited for, in no order,
// until it returns false. It is no snapshot: keys come and go meanwhile.
func (c *Coordinator) Keys(yield func(Info) bool) {
	c.directory.each(func(e *entry) bool {
		i, ok := e.lookup()
		if !ok || (!i.Leased || i.Lingers != 0) && i.Waiters == 0 {
			return true
		}
		return yield(i)
	})
}
