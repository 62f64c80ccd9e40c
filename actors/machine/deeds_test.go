package machine

import (
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// The deeds that tell a row's start and its event.

// arrive: name wants the key; the options change what it asks for.
func arrive(name string, options ...func(*Spec)) deed {
	return func(p *play) Event {
		h := p.hold(name)
		for _, o := range options {
			o(&h.Spec)
		}
		return Arrive{h}
	}
}

func lasting(d time.Duration) func(*Spec) { return func(s *Spec) { s.Expires = d } }
func waiting(d time.Duration) func(*Spec) { return func(s *Spec) { s.Timeout = d } }
func upTo(d time.Duration) func(*Spec)    { return func(s *Spec) { s.MaxHold = d } }
func resting(d time.Duration) func(*Spec) { return func(s *Spec) { s.AtLeast = d } }
func as(owner string) func(*Spec)         { return func(s *Spec) { s.Owner = owner } }
func once(s *Spec)                        { s.Try, s.Timeout = true, Patience }
func renewed(s *Spec)                     { s.Renew = true }

func leave(name string) deed { return func(p *play) Event { return Leave{p.hold(name)} } }

// discard: name was granted the key, and nobody is there to use it.
func discard(name string) deed {
	return func(p *play) Event {
		p.hold(name).Unused = true
		return Release{p.hold(name)}
	}
}

func release(name string) deed { return func(p *play) Event { return Release{p.hold(name)} } }
func watch(name string) deed   { return func(p *play) Event { return Watch{p.hold(name)} } }
func taken(*play) Event        { return Taken{} }
func withdrawn(*play) Event    { return Withdrawn{} }
func tick(*play) Event         { return Tick{} }

func woken(kind backends.WakeKind) deed { return func(*play) Event { return Woken{kind} } }

func extend(name string, by time.Duration) deed {
	return func(p *play) Event {
		p.extensions = append(p.extensions, &Extension{Hold: p.hold(name), By: by})
		return Extend{p.extensions[len(p.extensions)-1]}
	}
}

// restart: name's hold, of a set that is there, begins to count, for by; the options are
// the caller's.
func restart(name string, by time.Duration, options ...func(*Spec)) deed {
	return func(p *play) Event {
		as := Spec{}
		for _, o := range options {
			o(&as)
		}
		return Extend{&Extension{Hold: p.hold(name), By: by, As: &as}}
	}
}

func check(name string) deed {
	return func(p *play) Event { return Extend{&Extension{Hold: p.hold(name), Check: true}} }
}

func disown(base uint64) deed {
	return func(p *play) Event {
		p.disownings = append(p.disownings, &Disowning{Base: base})
		return Disown{p.disownings[len(p.disownings)-1]}
	}
}

// closeIn closes; what the backend doesn't answer in that time is given up.
func closeIn(d time.Duration) deed { return func(p *play) Event { return Close{p.now.Add(d)} } }

// panics: the step of what d tells panicked before it did anything.
func panics(d deed) deed {
	return func(p *play) Event {
		return Panicked{Event: d(p), Err: backends.Wrap(backends.ErrUnavailable, "", errOops)}
	}
}

// panicsAfter: the step of d panicked, or its effects did, when all of it was done.
func panicsAfter(d deed) deed {
	return func(p *play) Event {
		e := d(p)
		p.step(e)
		return Panicked{Event: e, Err: backends.Wrap(backends.ErrUnavailable, "", errOops)}
	}
}

// panicsWithin: the step of d panicked where it first read the configuration.
func panicsWithin(d deed) deed {
	return func(p *play) Event {
		e := d(p)
		p.m.cfg = nil
		p.tries(func(*play) Event { return e })
		p.m.cfg = &p.cfg
		return Panicked{Event: e, Err: backends.Wrap(backends.ErrUnavailable, "", errOops)}
	}
}

// panicsAtLast: the step of d panicked when all but its return was done.
func panicsAtLast(d deed) deed {
	return func(p *play) Event {
		e := panicsAfter(d)(p)
		p.m.effects, p.m.stepping = p.did, true
		return e
	}
}

// answer: the newest call was answered. It was sent when it began, unless with says
// otherwise.
func answer(with ...func(*play, *Call)) deed {
	return func(p *play) Event {
		c := p.asked()
		c.Sent = c.Began
		for _, f := range with {
			f(p, c)
		}
		return Answered{c}
	}
}

// granted: the lease is ours, or was renewed, as long as was asked for.
func granted(with ...func(*play, *Call)) deed {
	return answer(append([]func(*play, *Call){func(p *play, c *Call) {
		p.base++
		c.Reply = backends.Reply{Outcome: backends.Granted, Base: p.base, TTL: c.TTL}
	}}, with...)...)
}

func contended(_ *play, c *Call) { c.Reply.Contended = true }

func sentAfter(d time.Duration) func(*play, *Call) {
	return func(_ *play, c *Call) { c.Sent = c.Began.Add(d) }
}

func chance(x float64) func(*play, *Call) { return func(_ *play, c *Call) { c.Chance = x } }

// held: another process has it, since 3 s; ours is the second place, and to ask again
// in 300 ms.
func held(with ...func(*play, *Call)) deed {
	return answer(append([]func(*play, *Call){func(_ *play, c *Call) {
		c.Reply = backends.Reply{
			Outcome: backends.Held, Holder: "other", HeldFor: 3 * second, Place: 2, Retry: 300 * ms,
		}
	}}, with...)...)
}

func fails(err error, with ...func(*play, *Call)) deed {
	return answer(append([]func(*play, *Call){func(_ *play, c *Call) { c.Err = err }}, with...)...)
}

func done(*play, *Call) {}

func notRun(_ *play, c *Call) { c.Reply.Outcome = backends.NotRun }

// late: the first call is answered at last, after a panic had forgotten it.
func late(p *play) Event {
	p.calls[0].Reply.Outcome = backends.Granted
	return Answered{p.calls[0]}
}

// sees: a look saw that.
func sees(i backends.Info) deed {
	return answer(func(_ *play, c *Call) { c.Info = &i })
}

// wait lets time pass.
func wait(d time.Duration) deed {
	return func(p *play) Event {
		p.now = p.now.Add(d)
		return nil
	}
}

// set changes the configuration. Of the machine's own, only what it is made by can't
// change after its first step.
func set(f func(*Config)) deed {
	return func(p *play) Event {
		f(&p.cfg)
		if p.m.now == 0 {
			p.m = New(&p.cfg, &p.keeper)
		}
		return nil
	}
}

// Configurations. By default a backend excludes and has wakes; nothing lingers.
var (
	anybody   = set(func(c *Config) { c.Can.Exclusive = false })
	noWakes   = set(func(c *Config) { c.Can.Wakes = false })
	failsOver = set(func(c *Config) { c.Can.FailsOver = true })
	inspects  = set(func(c *Config) { c.Can.Inspects = true })
	noHandoff = set(func(c *Config) { c.NoHandoff = true })
	lingers   = set(func(c *Config) { c.Linger = second })
	gaps      = set(func(c *Config) { c.PollerGap = 100 * ms }) // one each 1.1 s
	usedUp    = set(func(c *Config) { c.NextAttempt = func() uint64 { return 0 } })
)

// States.
var (
	nothing = start{}

	// askingFor: the first call is in flight.
	askingFor = func(name string, o ...func(*Spec)) start { return start{arrive(name, o...)} }
	// queuedAt: the attempt is in the backend's queue.
	queuedAt = func(name string, o ...func(*Spec)) start { return start{arrive(name, o...), held()} }
	// failing: the attempt was not answered, 5 ms at half before the next try.
	failing = func(name string, o ...func(*Spec)) start { return start{arrive(name, o...), fails(silent)} }
	// leasedBy: name has the key.
	leasedBy = func(name string, o ...func(*Spec)) start { return start{arrive(name, o...), granted(), taken} }
	// offeredTo: the key was offered to name, who has not answered.
	offeredTo = func(name string, o ...func(*Spec)) start { return start{arrive(name, o...), granted()} }
	// lingering: a had the key, and the lease stays for a second.
	lingering = append(start{lingers}, leasedBy("a").then(release("a"))...)
	// releasing: a has released, and the backend has not answered that.
	releasing = leasedBy("a").then(release("a"))
	// cancelling: a has left, and the backend has not answered that.
	cancelling = queuedAt("a").then(leave("a"))
)
