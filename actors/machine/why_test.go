package machine

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// whyRows are what an acquire that got nothing is told of its wait.
var whyRows = []struct {
	name  string
	start start
	of    string
	want  Why // but for Err
	err   string
}{
	{
		name: "a caller here has it", start: start{wait(ms)}.then(leasedBy("a", as("team"))...).then(wait(ms), arrive("b"), arrive("c"), wait(second)),
		of: "c", want: Why{Waited: second, Place: 2, Queue: 2, Held: true, Holder: "team", Local: true, HeldFor: second + ms},
	},
	{
		name: "one try has no place", start: leasedBy("a").then(arrive("b", once)),
		of: "b", want: Why{Held: true, Holder: "me", Local: true},
	},
	{
		name: "another process has it", start: queuedAt("a").then(wait(second)),
		of: "a", want: Why{Waited: second, Place: 1, Queue: 1, Process: 2, Held: true, Holder: "other", HeldFor: 4 * second},
	},
	{
		name: "another process has it, nobody knows since when", start: start{arrive("a"), held(func(_ *play, c *Call) { c.Reply.HeldFor = 0 }), wait(second)},
		of: "a", want: Why{Waited: second, Place: 1, Queue: 1, Process: 2, Held: true, Holder: "other"},
	},
	{
		name: "nobody has answered, but there was no time to", start: askingFor("a"),
		of: "a", want: Why{Place: 1, Queue: 1, Silent: true},
	},
	{
		name: "asked again, and still answered before", start: queuedAt("a").then(wait(300*ms), tick, wait(100*ms)),
		of: "a", want: Why{Waited: 400 * ms, Place: 1, Queue: 1, Process: 2, Held: true, Holder: "other", HeldFor: 3400 * ms},
	},
	{
		name: "nothing was answered since it came", start: queuedAt("a").then(wait(200*ms), arrive("b"), wait(100*ms), tick, wait(100*ms)),
		of: "b", want: Why{Waited: 200 * ms, Place: 2, Queue: 2, Process: 2, Held: true, Holder: "other", HeldFor: 3400 * ms},
	},
	{
		name: "… for more than 100 ms", start: queuedAt("a").then(wait(200*ms), arrive("b"), wait(100*ms), tick, wait(100*ms+1)),
		of: "b", want: Why{Waited: 200*ms + 1, Place: 2, Queue: 2, Process: 2, Silent: true},
	},
	{
		name: "failures only", start: failing("a").then(wait(ms)),
		of: "a", want: Why{Waited: ms, Place: 1, Queue: 1, Silent: true}, err: "unavailable, cut",
	},
	{
		name: "an answer, and failures after it", start: queuedAt("a").then(wait(300*ms), tick, fails(silent)),
		of: "a", want: Why{Waited: 300 * ms, Place: 1, Queue: 1, Process: 2, Held: true, Holder: "other", HeldFor: 3300 * ms}, err: "unavailable, cut",
	},
	{
		name: "an answer after failures", start: failing("a").then(wait(firstPauseAtHalf), tick, held()),
		of: "a", want: Why{Waited: firstPauseAtHalf, Place: 1, Queue: 1, Process: 2, Held: true, Holder: "other", HeldFor: 3 * second},
	},
	{
		name: "this process has it, between two holds", start: lingering.then(arrive("b", lasting(20*second))),
		of: "b", want: Why{Place: 1, Queue: 1, Held: true},
	},
	{
		name: "a try that joined a call", start: askingFor("a").then(arrive("b", once)),
		of: "b", want: Why{Silent: true},
	},
	{
		name: "a renewal was answered", start: lingering.then(wait(ms), arrive("b", lasting(20*second)),
			granted(func(_ *play, c *Call) { c.Reply.TTL = ttl10 })),
		of: "b", want: Why{Place: 1, Queue: 1, Held: true},
	},
	{
		name: "our lease is revoked", start: lingering.then(wait(ms), arrive("b", lasting(20*second)), fails(backends.ErrRevoked)),
		of: "b", want: Why{Place: 1, Queue: 1, Held: true},
	},
	{
		name: "our release was answered after failures", start: retrying.then(arrive("b"), wait(firstPauseAtHalf), tick, answer(done)),
		of: "b", want: Why{Waited: firstPauseAtHalf, Place: 1, Queue: 1, Held: true},
	},
	{
		name: "a pause after a panic", start: stalled,
		of: "b", want: Why{Place: 1, Queue: 1, Held: true}, err: "unavailable, oops",
	},
	{
		name: "the holder of a new attempt is not known", start: queuedAt("a").then(leave("a"), arrive("b"), answer(done), wait(ms)),
		of: "b", want: Why{Waited: ms, Place: 1, Queue: 1, Held: true},
	},
}

func TestWhy(t *testing.T) {
	for _, test := range whyRows {
		t.Run(test.name, func(t *testing.T) {
			p := newPlay().all(test.start...)
			got := p.m.Why(p.hold(test.of), p.now)
			if (got.Err == nil) != (test.err == "") || got.Err != nil && tellError(got.Err) != test.err {
				t.Errorf("the error is %v, want %q", got.Err, test.err)
			}
			if got.Err = nil; got != test.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestCameAt: an acquire that never arrived has waited since its caller came, and is in
// no queue.
func TestCameAt(t *testing.T) {
	p := newPlay().all(leasedBy("a")...).all(wait(ms))
	h := p.hold("b")
	h.CameAt(p.now)
	p.all(wait(20*ms), tick)
	if got, want := p.m.Why(h, p.now), (Why{Waited: 20 * ms, Held: true, Holder: "me", Local: true, HeldFor: 21 * ms}); got != want {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
}

// TestInfo: what is known of a key.
func TestInfo(t *testing.T) {
	for _, test := range []struct {
		name  string
		start start
		want  Info
	}{
		{name: "nothing", start: nothing},
		{
			name: "held", start: leasedBy("a", as("team")).then(wait(second), arrive("b")),
			want: Info{Held: true, Leased: true, Holder: "team", Holds: 1, Fence: 101 << 10, HeldFor: second, ExpiresIn: 9 * second, Waiters: 1},
		},
		{
			name: "held for too long", start: leasedBy("a").then(wait(11 * second)),
			want: Info{Held: true, Leased: true, Holder: "me", Holds: 1, Fence: 101 << 10, HeldFor: 11 * second},
		},
		{
			name: "revoked", start: revokedFrom.then(leave("b")),
			want: Info{Held: true, Leased: true, Revoked: true, Holder: "me", Holds: 1, Fence: 101 << 10, HeldFor: renewAt, ExpiresIn: left},
		},
		{name: "lingering", start: lingering, want: Info{Leased: true, Lingers: 101}},
		{name: "waiting elsewhere", start: queuedAt("a"), want: Info{Waiters: 1, Place: 2}},
		{name: "not waiting elsewhere any more", start: queuedAt("a").then(leave("a")), want: Info{}},
		{name: "leased, in doubt", start: doubtful, want: Info{Leased: true, Waiters: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlay().all(test.start...)
			if got := p.m.Info(p.now); got != test.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestIdle: the machine may be forgotten only when nothing is left of it.
func TestIdle(t *testing.T) {
	for _, test := range []struct {
		name  string
		start start
		want  bool
	}{
		{"new", nothing, true},
		{"released", releasing.then(answer(done)), true},
		{"asking", askingFor("a"), false},
		{"queued", queuedAt("a"), false},
		{"offered", offeredTo("a"), false},
		{"leased", leasedBy("a"), false},
		{"lingering", lingering, false},
		{"releasing", releasing, false},
		{"waiting in a pause", stalled, false},
		{"looking, and nobody waits", watching.then(leave("a")), false},
	} {
		if got := newPlay().all(test.start...).m.Idle(); got != test.want {
			t.Errorf("%s: idle %v, want %v", test.name, got, test.want)
		}
	}
}

// TestOutcome: what a release or a request of a hold says.
func TestOutcome(t *testing.T) {
	for _, test := range []struct {
		revoked bool
		err     error
		want    string // empty: nil
	}{
		{false, nil, ""},
		{false, backends.ErrNotHeld, "not held"},
		{true, nil, "not held, revoked"},
		{true, backends.ErrNotHeld, "not held, revoked"},
		{true, silent, "not held, revoked, unavailable, cut"},
	} {
		got := ""
		if err := (&Hold{revoked: test.revoked}).Outcome(test.err); err != nil {
			got = tellError(err)
		}
		if got != test.want {
			t.Errorf("revoked %v, %v: %q, want %q", test.revoked, test.err, got, test.want)
		}
	}
}

// TestOver: a hold that ended without a release says when that was: at its deadline,
// if the process learned of it later.
func TestOver(t *testing.T) {
	p := newPlay().all(leasedBy("a")...).all(wait(time.Minute), tick)
	if got := p.hold("a").Over.Sub(began); got != 10*second {
		t.Errorf("over after %v, want 10 s", got)
	}
	p = newPlay().all(renewing...).all(wait(ms), fails(backends.ErrNotHeld))
	if got := p.hold("a").Over.Sub(began); got != renewAt+ms {
		t.Errorf("over after %v, want %v", got, renewAt+ms)
	}
	p = newPlay().all(leasedBy("a")...).all(wait(second), disown(0))
	if h := p.hold("a"); h.Over.Sub(began) != second || !h.Revoked() {
		t.Errorf("over after %v, revoked %v, want 1 s and true", h.Over.Sub(began), h.Revoked())
	}
}
