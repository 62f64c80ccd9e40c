package machine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A row of the tables: in this state, that event; then these effects, in this phase,
// and the next look.
type row struct {
	name  string
	start start
	after time.Duration // from the state to the event
	event deed
	words string   // of the line in doc.go, after the event, where the phase changes
	want  []string // see tell
	to    string
	look  time.Duration // from the event; 0: never
	wrong bool          // the event must not come now: the step panics
}

// A deed is something that happens. It returns the event, or nil if it is none.
type deed func(*play) Event

// A start is a state, told as the deeds that lead there.
type start []deed

func (s start) then(more ...deed) start { return append(slices.Clone(s), more...) }

// A play drives one machine by events, as the shell would.
type play struct {
	cfg    Config
	m      *Machine
	now    Instant
	did    []Effect
	look   Instant
	calls  []*Call // in their order
	holds  map[string]*Hold
	keeper keeper

	extensions []*Extension
	disownings []*Disowning
	attempts   uint64
	asks       uint64
	base       uint64 // the newest that the backend has minted
}

const (
	ms     = time.Millisecond
	second = time.Second
	never  = time.Duration(0)
)

// began is when a play begins; its wall clock shows a whole multiple of every gap.
const began = Instant(1000 * second)

func newPlay() *play {
	p := &play{now: began, base: 100, holds: map[string]*Hold{}}
	p.cfg = Config{
		Can:        backends.Capabilities{Exclusive: true, Wakes: true, Kinds: true},
		Owner:      "me",
		Tenure:     20 * ms,
		MaxWaiters: 100,
		Epoch:      -int64(began),
		NextAttempt: func() uint64 {
			p.attempts++
			return p.attempts
		},
		NextAsk: func() uint64 {
			p.asks++
			return 1000 + p.asks
		},
	}
	p.m = New(&p.cfg, &p.keeper)
	return p
}

// asked is the newest call.
func (p *play) asked() *Call { return p.calls[len(p.calls)-1] }

// do lets one thing happen.
func (p *play) do(d deed) {
	if e := d(p); e != nil {
		p.step(e)
	}
}

func (p *play) step(e Event) {
	p.did, p.look = p.m.Step(e, p.now, nil)
	for i, e := range p.did {
		// The shell takes what follows from an Offer or an Ask for the step's outcome:
		// it would lose that of all but the last effect.
		if (e.Kind == Offer || e.Kind == Ask) && i < len(p.did)-1 {
			panic(fmt.Sprintf("an %v is not the last effect of its step: %q", e.Kind, p.tell()))
		}
		if e.Kind == Ask {
			p.calls = append(p.calls, e.Call)
		}
	}
}

func (p *play) all(deeds ...deed) *play {
	for _, d := range deeds {
		p.do(d)
	}
	return p
}

// phase names the phase that the key is in.
func (p *play) phase() string {
	switch p.m.phase {
	case &p.m.free:
		return "free"
	case &p.m.asking:
		return "asking"
	case &p.m.leased:
		return "leased"
	case &p.m.settling:
		return "settling"
	case p.m.sharing:
		return "sharing"
	}
	return "no phase"
}

// hold returns the acquire of that name. It wants the key for 10 s, and waits for 60 s.
func (p *play) hold(name string) *Hold {
	h := p.holds[name]
	if h == nil {
		h = &Hold{Spec: Spec{Expires: 10 * second, Timeout: 60 * second}, Tag: name}
		p.holds[name] = h
	}
	return h
}

// run plays a row, and complains of what was different.
func (r *row) run(t *testing.T) {
	p := newPlay().all(r.start...)
	from := p.phase()
	p.now = p.now.Add(r.after)
	if panicked := p.tries(r.event); strings.HasPrefix(panicked, "machine: ") != r.wrong || !r.wrong && panicked != "" {
		t.Fatalf("panicked by %q, want %v", panicked, r.wrong)
	}
	if r.wrong {
		return
	}
	if got := p.tell(); !slices.Equal(got, r.want) {
		t.Errorf("effects:\n\tgot  %q\n\twant %q", got, r.want)
	}
	if got := p.phase(); got != r.to {
		t.Errorf("phase %s, want %s", got, r.to)
	}
	got := never
	if p.look != 0 {
		if p.look <= p.now {
			t.Errorf("looks at once, or before")
		}
		got = p.look.Sub(p.now)
	}
	// The pace of a renewal is a float: it may be off by some ns.
	if d := got - r.look; d.Abs() > time.Microsecond || (got == 0) != (r.look == 0) {
		t.Errorf("looks after %v, want %v", got, r.look)
	}
	if changes := from != r.to; changes != (r.words != "") {
		t.Errorf("from %s to %s with the words %q: they name a change, and only that", from, r.to, r.words)
	}
}

// tries does d, and returns the words of its panic; empty: it did not panic.
func (p *play) tries(d deed) (panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprint(r)
		}
	}()
	p.do(d)
	return ""
}

// What a backend may complain of.
var (
	errCut  = errors.New("connection cut")
	errOops = errors.New("oops")

	silent     = backends.Unavailable("test", errCut)             // it may have run
	passing    = backends.Unavailable("test", backends.Loading)   // refused for now
	refused    = backends.Refused("test", "", backends.WrongType) // refused for good
	wrongLogin = backends.Refused("test", "", backends.WrongLogin)
	settled    = backends.Wrap(backends.ErrUnavailable, "", backends.ErrSettled)
)
