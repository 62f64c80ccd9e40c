//go:build unix

package faults

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// A copied is the requests of one read, held back on their way. The client
// gives up the connection, and asks again by another.
type copied struct {
	commands int // requests in it
	asks     []ask
	of       []int // the request that each ask is in

	open    chan struct{} // closed by deliver
	replies chan []value  // one slot: the server's answers
	said    []byte        // so far; the wire's own
}

// copies holds requests back for stories, by way of a wire.
type copies struct {
	wire *wire

	mu      sync.Mutex // protects what follows
	stories map[string]*story
	waiting []*copied
	byLink  map[*link]*copied
	ended   bool
}

func holdCopies(t *testing.T) *copies {
	c := &copies{wire: newWire(t), stories: map[string]*story{}, byLink: map[*link]*copied{}}
	c.wire.onRequest(c.request)
	c.wire.onReply(c.reply)
	t.Cleanup(func() { // or the wire would wait for them
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		for _, k := range c.waiting {
			close(k.open)
		}
		c.waiting = nil
	})
	return c
}

// follow begins a story: nobody asked for its key yet.
func (c *copies) follow(s *story) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stories[s.fullKey()] = s
}

// request holds back, or loses, the requests that stories choose, with all that travels with them.
func (c *copies) request(l *link, p []byte) fate {
	all, rest := values(p)
	if len(rest) > 0 || l.pushes.Load() {
		return pass // a part of a request, which is seldom: the rest follows
	}
	k := &copied{commands: len(all), open: make(chan struct{}), replies: make(chan []value, 1)}
	for i, v := range all {
		for _, a := range v.asks() {
			k.asks, k.of = append(k.asks, a), append(k.of, i)
		}
	}
	switch c.decide(l, k) {
	case held:
		<-k.open // ends by deliver, or at the test's end
	case lost:
		return swallow
	}
	return pass
}

// A wish is a story's for a request. The greatest of a read's counts.
type wish int

const (
	through wish = iota
	lost         // it never reaches the server
	held         // it does so late
)

func (c *copies) decide(l *link, k *copied) (most wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return through
	}
	for _, a := range k.asks {
		if s := c.stories[a.key]; s != nil {
			most = max(most, s.wish(a))
		}
	}
	if most != held {
		return most
	}
	for _, a := range k.asks {
		if s := c.stories[a.key]; s != nil && a.takes() {
			s.copied(a)
		}
	}
	c.waiting = append(c.waiting, k)
	c.byLink[l] = k
	return held
}

// reply collects what the server says to a copy. Nobody else reads that.
func (c *copies) reply(l *link, p []byte) fate {
	c.mu.Lock()
	k := c.byLink[l]
	c.mu.Unlock()
	if k == nil {
		return pass
	}
	k.said = append(k.said, p...)
	all, _ := values(k.said)
	if all = slices.DeleteFunc(all, func(v value) bool { return v.kind == '>' }); len(all) == k.commands {
		k.replies <- all
	}
	return swallow
}

// deliver lets the server have the copies that chosen picks, and waits until it has
// executed them.
func (c *copies) deliver(t *testing.T, chosen func(*copied) bool, each func(a ask, reply value)) {
	t.Helper()
	c.mu.Lock()
	var list, rest []*copied
	for _, k := range c.waiting {
		if chosen(k) {
			list = append(list, k)
		} else {
			rest = append(rest, k)
		}
	}
	c.waiting = rest
	c.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	for _, k := range list {
		close(k.open)
	}
	for _, k := range list {
		select {
		case replies := <-k.replies:
			for i, a := range k.asks {
				each(a, replies[k.of[i]])
			}
		case <-late.C:
			t.Fatal("a late copy was never answered: the test proves nothing")
		}
	}
}
