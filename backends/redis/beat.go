package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// beatItems is how many keys one call of the script beat has at most: the server does nothing else for as long.
const beatItems = 64

func newBeat(a backends.Attempt, now time.Time) *beat {
	keys := scripts.Keys(a.Key)
	return &beat{key: a.Key, token: a.Token, until: now.Add(beatUntil), lasting: now.Add(beatLasting), lock: keys[0], alive: keys[4], wire: a.Token.Wire()}
}

// A beatCall is one request of the script beat.
type beatCall struct {
	*goredis.StringCmd
	beats []*beat
	args  []any
}

// newBeatCall makes a request of some beats, which has all names beside their locks last if lasting is set.
func newBeatCall(beats []*beat, lasting bool, alive time.Duration, push string) *beatCall {
	c := &beatCall{beats: beats, args: make([]any, 3, 5+7*len(beats))}
	for _, e := range beats {
		c.args = append(c.args, e.lock, e.alive)
		if lasting {
			keys := scripts.Keys(e.key)
			c.args = append(c.args, keys[1], keys[2], keys[3])
		}
	}
	c.args[2] = len(c.args) - 3
	c.args = append(c.args, millis(alive), push)
	for _, e := range beats {
		c.args = append(c.args, e.wire, e.ask)
	}
	c.bySHA()
	return c
}

func (c *beatCall) of() *scripts.Script { return scripts.Beat }
func (c *beatCall) bySHA()              { c.renew("evalsha", scripts.Beat.SHA()) }
func (c *beatCall) bySource()           { c.renew("eval", scripts.Beat.Source()) }

func (c *beatCall) renew(verb, script string) {
	c.args[0], c.args[1] = verb, script
	c.StringCmd = goredis.NewStringCmd(context.Background(), c.args...)
}

// NoRetry keeps the driver from sending it twice; see command.
func (*beatCall) NoRetry() bool { return true }

// silent reports whether nothing at all became of the request.
func (c *beatCall) silent() bool { return c.Err() == nil && c.Val() == "" }

// words returns the reply's word of each beat; nil if it is no reply to this request.
func (c *beatCall) words() []string {
	words := strings.Split(c.Val(), " ")
	if c.Err() != nil || len(words) != 1+len(c.beats) || words[0] != c.beats[0].ask {
		return nil
	}
	return words[1:]
}

// readBeat reads a word of the reply: that the attempt waits, for how long the lock lasts, 0 if for ever, and who has it.
func readBeat(word string) (free time.Duration, holder string, waits bool) {
	ms, holder, ok := strings.Cut(word, ":")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil || n < -1 || n == 0 || len(holder) != memberLength {
		return 0, "", false
	}
	return time.Duration(max(0, n)) * time.Millisecond, holder, true
}

// An attempt as the scripts have it is its session and its number.
const (
	sessionDigits = 20
	memberLength  = sessionDigits + 12
)

// send sends the beats of a batch, and does what their answers say.
func (l *lane) send(batch []*beat) {
	if !l.in.hearing() {
		l.end(batch)
		return
	}
	l.mu.Lock()
	spacing := l.spacingLocked()
	l.mu.Unlock()
	alive := spacing + beatGrace
	batch = l.numbered(batch, alive)
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callBudget)
	defer cancel()
	push := l.backend.pushes.push()
	calls := l.call(ctx, batch, alive, push)
	l.in.waits(alive)
	for _, c := range calls {
		l.answered(c, spacing, push)
	}
}

// numbered numbers the beats, and ends those that nobody knows of.
func (l *lane) numbered(batch []*beat, alive time.Duration) []*beat {
	var ended []*beat
	rest := batch[:0]
	for _, e := range batch {
		ask := uint64(0)
		if time.Now().Before(e.until) {
			ask = l.number(e.key, e.token.Attempt(), alive) // no lock is held: it may begin a call, which drops the beat
		}
		if ask == 0 {
			ended = append(ended, e)
			continue
		}
		e.ask = fmt.Sprintf("%016d", ask)
		rest = append(rest, e)
	}
	l.end(ended)
	return rest
}

// call makes the requests and sends them, once more with the script where that is missing.
func (l *lane) call(ctx context.Context, batch []*beat, alive time.Duration, push string) (calls []*beatCall) {
	most := beatItems
	if l.to.apart() {
		most = 1
	}
	f := flusher{batcher: l.to}
	now := time.Now()
	fades := func(e *beat) bool { return now.After(e.lasting) }
	slices.SortStableFunc(batch, func(a, b *beat) int { return order(fades(a)) - order(fades(b)) })
	for len(batch) > 0 {
		n, lasting := 1, fades(batch[0])
		for n < min(most, len(batch)) && fades(batch[n]) == lasting {
			n++
		}
		c := newBeatCall(batch[:n], lasting, alive, push)
		if lasting {
			for _, e := range c.beats {
				e.lasting = now.Add(beatLasting) // unless the answer has it asked for in full
			}
		}
		calls, f.requests, batch = append(calls, c), append(f.requests, c), batch[n:]
	}
	f.pipeline(ctx)
	f.requests = f.requests[:0]
	for _, c := range calls {
		if refusedAs(c.Err(), "NOSCRIPT") {
			c.bySource()
			f.requests = append(f.requests, c)
		}
	}
	if len(f.requests) > 0 {
		f.pipeline(ctx)
	}
	return calls
}

// order has what is not so come before what is.
func order(is bool) int {
	if is {
		return 1
	}
	return 0
}

// answered does what the answer to a request says of each attempt.
func (l *lane) answered(c *beatCall, spacing time.Duration, push string) {
	words := c.words()
	if words == nil {
		if refusedAs(c.Err(), "CROSSSLOT") {
			l.to.part() // see fastCall.refusedTogether. A key that is forbidden is refused to acquire, and beats no more
		}
		l.end(c.beats)
		return
	}
	var ended []*beat
	var messages []told
	now := time.Now()
	l.mu.Lock()
	for i, e := range c.beats {
		free, holder, waits := readBeat(words[i])
		if waits && push != pushByScript {
			messages = append(messages, told{holder[:sessionDigits], "w" + e.key})
		}
		switch {
		case e.over:
		case !waits || e.holder != "" && e.holder != holder: // what the caller is told of the holder is not so any more
			ended = append(ended, e)
		default:
			e.holder = holder
			e.sent++
			e.planLocked(now, spacing, free)
		}
	}
	l.mu.Unlock()
	l.backend.deliver(messages)
	l.end(ended)
}

// end ends beats, and has those that wait ask in full.
func (l *lane) end(beats []*beat) {
	l.mu.Lock()
	rest := beats[:0]
	for _, e := range beats {
		if !e.over {
			l.endLocked(e)
			rest = append(rest, e)
		}
	}
	closed := l.closed
	l.mu.Unlock()
	for _, e := range rest {
		if !closed {
			l.in.wake(backends.Wake{Key: e.key, Kind: backends.Given})
		}
	}
}
