package model

import (
	"slices"

	"github.com/turnstile-go/turnstile/scripts"
)

// A play is a store and its clients.
type play struct {
	store    store
	watch    *watch
	sessions []*session
	pylocks  []*pylock
	library  library
	late     []*call // sent, given up, and not arrived
	stamps   int
	back     int64 // how far the clock went back in all
	beside   *lua  // nil: the model runs alone
}

func newPlay(without rule, sessions, pylocks int) *play {
	const start = 1_000_000 * second
	p := &play{watch: newWatch()}
	p.store = store{without: without, watch: p.watch, now: start, real: start}
	for i := range sessions {
		p.sessions = append(p.sessions, &session{p: p, id: i + 1, lives: second})
	}
	for range pylocks {
		p.pylocks = append(p.pylocks, &pylock{p: p, expires: 5 * second})
	}
	p.watch.pylocks = p.pylocks
	p.library.p = p
	return p
}

// pass lets time go by. A copy does not arrive 60 s after it was sent.
func (p *play) pass(ms int64) {
	p.store.pass(ms)
	p.late = slices.DeleteFunc(p.late, func(c *call) bool { return p.store.real >= c.sent+keep })
	p.watch.check(&p.store)
}

func (p *play) step(ms int64) {
	p.back += max(0, -ms)
	p.store.step(ms)
}

// revoke is somebody's request to end the lease.
func (p *play) revoke(now string) {
	model := func() reply { p.store.revoke(now == "1"); return reply{} }
	if p.beside == nil {
		model()
		return
	}
	if p.store.expire(); p.store.lock.kind != free && p.store.wrongType() {
		return // an error, and nothing done
	}
	p.beside.runs(&p.store, scripts.Revoke, []string{"0", now, "1"}, model)
}

// arrive lets the copy i run.
func (p *play) arrive(i int) {
	c := p.late[i]
	p.late = slices.Delete(p.late, i, i+1)
	c.run()
}
