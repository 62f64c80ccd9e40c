package machine

import "time"

// repeated: the backend repeats the newest call, as the call numbered ask, which it sends now and later.
func repeated(ask uint64, with ...func(*Repeated)) deed {
	return func(p *play) Event {
		r := Repeated{Attempt: p.attempts, Ask: ask, Alive: second, Sent: p.now}
		for _, f := range with {
			f(&r)
		}
		return r
	}
}

func ofAttempt(n uint64) func(*Repeated)      { return func(r *Repeated) { r.Attempt = n } }
func keptFor(d time.Duration) func(*Repeated) { return func(r *Repeated) { r.Alive = d } }
func sentBefore(d time.Duration) func(*Repeated) {
	return func(r *Repeated) { r.Sent = r.Sent.Add(-d) }
}
func repeatedAt(d time.Duration, of ...deed) start { return queuedAt("a").then(wait(d)).then(of...) }

// repeatedRows are those of a repetition of our call by the backend, and of the pushes that echo one.
var repeatedRows = []row{
	{name: "it is the newest call", start: queuedAt("a"), after: 200 * ms, event: repeated(5), to: "asking", look: 100 * ms},
	{
		name: "given to it: it counts from when that was sent", start: repeatedAt(200*ms, repeated(5), wait(100*ms)), event: gave(forAsk(5)),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - 100*ms).String()}, to: "leased",
	},
	{
		name: "given to it, for as long as it said", start: repeatedAt(200*ms, repeated(5, keptFor(3*second))), after: 50 * ms,
		event: gave(forAsk(5), givenFor(3*second)), words: "Gave, to the newest call",
		want: []string{"offer a 101.0 for " + (3*second - 80*ms - 50*ms).String()}, to: "leased",
	},
	{
		name: "given to the call, and the repetition may be under way", start: repeatedAt(200*ms, repeated(5)), event: gave(),
		want: asked1, to: "asking", look: 60*second - 200*ms,
	},
	{
		name: "given to the repetition before", start: repeatedAt(200*ms, repeated(5), wait(50*ms), repeated(6)), event: gave(forAsk(5)),
		want: asked1, to: "asking", look: 60*second - 250*ms,
	},
	{
		name: "another attempt's", start: repeatedAt(200*ms, repeated(5, ofAttempt(2))), event: gave(),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - 200*ms).String()}, to: "leased",
	},
	{
		name: "a call was sent after it", start: repeatedAt(300*ms, tick, wait(ms), repeated(5, sentBefore(ms+1)), held()), event: gave(),
		words: "Gave, to the newest call",
		want:  []string{"offer a 101.0 for " + (soundFor - ms).String()}, to: "leased",
	},
	{
		name: "a call was sent before it, and answered later", start: repeatedAt(300*ms, tick, wait(ms), repeated(5), wait(ms), held()), event: gave(),
		want: []string{acquire1 + ", probe 2"}, to: "asking", look: 60*second - 302*ms,
	},
	{name: "a call is under way", start: repeatedAt(300*ms, tick), event: repeated(5), to: "asking", look: 60*second - 300*ms},
	{name: "nobody wants it", start: nothing, event: repeated(5), to: "free", look: never},
	{name: "it is ours already", start: leasedBy("a"), event: repeated(5), to: "leased", look: renewAt},
	{name: "the attempt ends", start: cancelling, event: repeated(5), to: "settling", look: never},
	{name: "an offer is open", start: queuedAt("a").then(gave()), event: repeated(5), wrong: true},
}
