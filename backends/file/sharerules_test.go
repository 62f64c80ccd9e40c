//go:build linux || darwin

package file

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/turnstile-go/turnstile/backends"
)

// A ledger is a key as scripts/model/kinds has it: who has the lock, or shares, and who waits.
type ledger struct {
	lock   backends.Token
	kind   backends.Kind
	shares []backends.Request // Want is how many permits each has
	queue  []backends.Request
}

func isOf(t backends.Token) func(backends.Request) bool {
	return func(r backends.Request) bool { return r.Token == t }
}

func (l *ledger) out() (n int) {
	for _, s := range l.shares {
		n += s.Want
	}
	return n
}

// fits is how many permits a request can have behind those ahead of it.
func (l *ledger) fits(r backends.Request) int {
	if r.Kind != l.kind || len(l.shares) == 0 {
		return 0
	}
	out, n := l.out(), r.N
	for _, q := range l.queue {
		if q.Token == r.Token {
			break
		}
		if q.Kind != l.kind || q.Kind == backends.Slots && out >= q.N {
			return 0
		}
		out, n = out+min(q.Want, q.N-out), min(n, q.N)
	}
	if r.Kind == backends.Shared {
		return 1
	}
	return min(r.Want, n-out)
}

// ask returns what is granted: a lock as 0, or so many permits; -1 if none is.
func (l *ledger) ask(r backends.Request) int {
	if i := slices.IndexFunc(l.shares, isOf(r.Token)); i >= 0 {
		return l.shares[i].Want
	}
	free := l.lock == backends.Token{} && len(l.shares) == 0
	if free && len(l.queue) > 0 && l.queue[0].Token != r.Token {
		l.pass()
		free = false
	}
	permits := -1
	switch {
	case free || l.lock == r.Token:
		if permits = 0; r.Kind == backends.Exclusive {
			l.lock = r.Token
		} else {
			permits = l.turn(r)
		}
	case l.fits(r) > 0:
		permits = l.fits(r)
		r.Want = permits
		l.shares = append(l.shares, r)
	case !slices.ContainsFunc(l.queue, isOf(r.Token)):
		l.queue = append(l.queue, r)
	}
	if permits >= 0 {
		l.queue = slices.DeleteFunc(l.queue, isOf(r.Token))
	}
	return permits
}

func (l *ledger) turn(r backends.Request) int {
	if r.Kind == backends.Shared {
		r.Want = 1
	}
	l.lock, l.kind, l.shares = backends.Token{}, r.Kind, []backends.Request{r}
	return r.Want
}

func (l *ledger) pass() {
	if l.lock = (backends.Token{}); len(l.queue) > 0 {
		l.lock, l.queue = l.queue[0].Token, l.queue[1:]
	}
}

// end reports whether the attempt had anything.
func (l *ledger) end(t backends.Token) bool {
	l.queue = slices.DeleteFunc(l.queue, isOf(t))
	had := slices.ContainsFunc(l.shares, isOf(t))
	if l.shares = slices.DeleteFunc(l.shares, isOf(t)); had && len(l.shares) == 0 || l.lock == t {
		l.pass()
		return true
	}
	return had
}

func (l *ledger) contended(t backends.Token) bool {
	return slices.ContainsFunc(l.queue[:min(2, len(l.queue))], func(r backends.Request) bool { return r.Token.Session() != t.Session() })
}

// A client is a session of that test: what it has, and the one attempt by which it asks.
type client struct {
	b      *Backend
	claims claims
	has    []backends.Request
	asks   *backends.Request
}

// TestSharesGoByTheRules of the model, reply for reply, in whatever order they are asked for and end.
func TestSharesGoByTheRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clients := make([]*client, 4)
	for i := range clients {
		clients[i] = &client{b: open(t, dir)}
	}
	runs, slow := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		// One that waits counts as alive for a second after it asked. A machine that was busy for longer has shown nothing.
		start, l := time.Now(), &ledger{}
		key := rapid.StringN(8, 16, -1).Draw(rt, "key")
		defer func() {
			for _, c := range clients {
				c.clear(rt)
			}
		}()
		for n := rapid.IntRange(1, 60).Draw(rt, "steps"); n > 0; n-- {
			fault := rapid.SampledFrom(clients).Draw(rt, "client").step(rt, l, key)
			if time.Since(start) > patience*time.Microsecond/2 {
				slow++
				return
			}
			if fault != "" {
				rt.Fatalf("%s\n%+v", fault, l)
			}
		}
		runs++
	})
	if runs < slow {
		t.Logf("this machine was busy for more than half a second in %d runs of %d", slow, slow+runs)
	}
}

// clear gives back what is left, for the next run.
func (c *client) clear(rt *rapid.T) {
	if c.asks != nil {
		c.has = append(c.has, *c.asks)
	}
	for _, r := range c.has {
		if err := c.b.Cancel(rt.Context(), r.Attempt); err != nil {
			rt.Fatal(err)
		}
	}
	c.has, c.asks = nil, nil
}

func (c *client) step(rt *rapid.T, l *ledger, key string) (fault string) {
	what := rapid.IntRange(0, 9).Draw(rt, "what")
	switch {
	case what < 5 || c.asks == nil && len(c.has) == 0:
		return c.ask(rt, l, key)
	case c.asks != nil && what == 5:
		l.end(c.asks.Token)
		err := c.b.Cancel(rt.Context(), c.asks.Attempt)
		if c.asks = nil; err != nil {
			return err.Error()
		}
	case len(c.has) > 0 && what < 8:
		i := rapid.IntRange(0, len(c.has)-1).Draw(rt, "which")
		r := c.has[i]
		c.has = slices.Delete(c.has, i, i+1)
		if err := c.b.Release(rt.Context(), r.Attempt); (err == nil) != l.end(r.Token) {
			return "release: " + r.Token.String()
		}
	case len(c.has) > 0:
		return c.renew(rt, l, &c.has[rapid.IntRange(0, len(c.has)-1).Draw(rt, "which")])
	}
	return ""
}

func (c *client) ask(rt *rapid.T, l *ledger, key string) string {
	if c.asks == nil {
		n := rapid.IntRange(1, 4).Draw(rt, "n")
		r := rapid.SampledFrom([]backends.Request{c.claims.request(key), c.claims.reader(key), c.claims.taker(key, n, 1+n/2), c.claims.taker(key, n, 1)}).Draw(rt, "kind")
		c.asks = &r
	}
	r := *c.asks
	reply, err := c.b.Acquire(rt.Context(), r)
	permits := l.ask(r)
	switch {
	case err != nil:
		return err.Error()
	case (reply.Outcome == backends.Granted) != (permits >= 0):
		return "asked: " + reply.Outcome.String()
	case permits < 0:
		if i := slices.IndexFunc(l.queue, isOf(r.Token)); reply.Place != i+1 || reply.Out != l.out() {
			return "another place, or number that is out"
		}
		return ""
	case permits == 0 != (reply.Kind == backends.Exclusive), r.Kind == backends.Slots && reply.Permits != permits, reply.Contended != l.contended(r.Token):
		return "granted something else"
	}
	c.has, c.asks = append(c.has, r), nil
	return ""
}

// renew also makes a share of a lock, and gives permits back.
func (c *client) renew(rt *rapid.T, l *ledger, r *backends.Request) string {
	i := slices.IndexFunc(l.shares, isOf(r.Token))
	if r.Want > 1 {
		r.Want = rapid.IntRange(1, r.Want).Draw(rt, "keep")
	}
	if r.Kind == backends.Exclusive && rapid.Bool().Draw(rt, "downgrade") {
		r.Kind = backends.Shared
	}
	reply, err := c.b.RenewShare(rt.Context(), *r, 0)
	want := 0
	switch {
	case i >= 0 && l.kind == backends.Slots:
		l.shares[i].Want = min(l.shares[i].Want, r.Want)
		want = l.shares[i].Want
	case i >= 0:
	case l.lock != r.Token:
		return "it has something that it should not"
	case r.Kind != backends.Exclusive:
		l.turn(*r)
	}
	if err != nil || reply.Kind != r.Kind || reply.Permits != want || reply.Contended != l.contended(r.Token) {
		return "another renewal"
	}
	return ""
}
