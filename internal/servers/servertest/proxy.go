package servertest

import (
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// A Proxy is a servers.Proxy whose faults a test relies on: one that can't be made
// ends the test.
type Proxy struct {
	*servers.Proxy
	t testing.TB
}

// NewProxy starts a proxy in front of upstream (host:port) and stops it at the
// test's end.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	p, err := servers.StartProxy(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Cut)
	return &Proxy{p, t}
}

// LoseReplies lets requests through and drops the server's answers.
func (p *Proxy) LoseReplies() { p.t.Helper(); p.must(p.Proxy.LoseReplies()) }

// LoseRequests drops what clients send; the connections stay.
func (p *Proxy) LoseRequests() { p.t.Helper(); p.must(p.Proxy.LoseRequests()) }

// CutAfterRequest ends a connection in place of the server's next answer.
func (p *Proxy) CutAfterRequest() { p.t.Helper(); p.must(p.Proxy.CutAfterRequest()) }

// Delay holds every answer back for d.
func (p *Proxy) Delay(d time.Duration) { p.t.Helper(); p.must(p.Latency(0, d)) }

// Heal undoes every fault.
func (p *Proxy) Heal() { p.t.Helper(); p.must(p.Proxy.Heal()) }

func (p *Proxy) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
