package memcache

import (
	"errors"
	"sync/atomic"

	gomemcache "github.com/bradfitz/gomemcache/memcache"
)

// errInjected is a failure that no server made; as of a connection that ended.
var errInjected = errors.New("injected")

// A command is what a wire was asked to carry.
type command struct {
	verb, name string
	item       *gomemcache.Item // of add, set and cas
	do         func() error     // carries it out
}

// hooked shows every command to a function, which does it or not, and returns
// what the verb is told.
type hooked struct {
	wire
	see func(command) error
}

// hook puts a function between a backend's verbs and its links.
func (b *Backend) hook(see func(command) error) {
	b.between = func(w wire) wire { return hooked{w, see} }
}

func (h hooked) get(names ...string) (found map[string]*gomemcache.Item, err error) {
	err = h.see(command{verb: "gets", name: names[0], do: func() (err error) {
		found, err = h.wire.get(names...)
		return err
	}})
	return found, err
}

func (h hooked) add(i *gomemcache.Item) error {
	return h.see(command{"add", i.Key, i, func() error { return h.wire.add(i) }})
}

func (h hooked) set(i *gomemcache.Item) error {
	return h.see(command{"set", i.Key, i, func() error { return h.wire.set(i) }})
}

func (h hooked) cas(i *gomemcache.Item) error {
	return h.see(command{"cas", i.Key, i, func() error { return h.wire.cas(i) }})
}

func (h hooked) incr(name string, by uint64) (n uint64, err error) {
	err = h.see(command{verb: "incr", name: name, do: func() (err error) {
		n, err = h.wire.incr(name, by)
		return err
	}})
	return n, err
}

// counted counts the commands of a backend.
func counted(b *Backend) *atomic.Int64 {
	var n atomic.Int64
	b.hook(func(c command) error {
		n.Add(1)
		return c.do()
	})
	return &n
}

// beforeSwap runs f once, between a verb's look at its key and its swap.
func beforeSwap(b *Backend, f func()) {
	var done atomic.Bool
	b.hook(func(c command) error {
		if c.verb == "cas" && done.CompareAndSwap(false, true) {
			f()
		}
		return c.do()
	})
}
