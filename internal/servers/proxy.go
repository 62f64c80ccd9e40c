package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A Proxy is a TCP proxy in front of a server, for faults of the network.
type Proxy struct {
	// Addr is host:port, the same over cuts.
	Addr string

	t     testing.TB
	proxy *toxiproxy.Proxy
}

// NewProxy starts a proxy in front of upstream (host:port) and stops it at the
// test's end.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatalf("servers: proxy: %v", err)
	}
	t.Cleanup(proxy.Stop)
	return &Proxy{Addr: proxy.Listen, t: t, proxy: proxy}
}

// Cut ends all connections and refuses new ones until Heal.
func (p *Proxy) Cut() { p.proxy.Stop() }

// LoseReplies lets requests through and drops what the server answers: the
// work is done, and nobody hears of it.
func (p *Proxy) LoseReplies() {
	p.t.Helper()
	p.toxic("timeout", "downstream", map[string]any{"timeout": 0})
}

// LoseRequests drops what clients send; the connections stay.
func (p *Proxy) LoseRequests() {
	p.t.Helper()
	p.toxic("timeout", "upstream", map[string]any{"timeout": 0})
}

// CutAfterRequest ends a connection in place of the server's next answer: the
// request went through, and the client sees the end of the stream.
func (p *Proxy) CutAfterRequest() {
	p.t.Helper()
	p.toxic("limit_data", "downstream", map[string]any{"bytes": 0})
}

// Delay holds every answer back for d.
func (p *Proxy) Delay(d time.Duration) {
	p.t.Helper()
	p.toxic("latency", "downstream", map[string]any{"latency": d.Milliseconds()})
}

// Heal undoes every fault. Connections whose data was dropped are ended: what
// they would say next makes no sense any more.
func (p *Proxy) Heal() {
	p.t.Helper()
	p.proxy.Toxics.ResetToxics(context.Background())
	if p.proxy.Enabled {
		return
	}
	if err := p.proxy.Start(); err != nil {
		p.t.Fatalf("servers: proxy: %v", err)
	}
}

func (p *Proxy) toxic(name, direction string, attributes map[string]any) {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"type": name, "stream": direction, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(bytes.NewReader(body))
	}
	if err != nil {
		p.t.Fatalf("servers: proxy: %s: %v", name, err)
	}
}
