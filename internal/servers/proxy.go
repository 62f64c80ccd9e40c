package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A Proxy is a TCP proxy in front of a server, for faults of the network.
type Proxy struct {
	// Addr is host:port, the same over cuts.
	Addr string

	proxy *toxiproxy.Proxy
}

// StartProxy starts a proxy in front of upstream (host:port). Cut stops it.
func StartProxy(upstream string) (*Proxy, error) {
	addr, err := Addr() // nobody else takes it while the proxy is cut
	if err != nil {
		return nil, err
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "proxy of "+upstream, addr, upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("servers: proxy: %w", err)
	}
	return &Proxy{Addr: proxy.Listen, proxy: proxy}, nil
}

// Cut ends all connections and refuses new ones until Heal.
func (p *Proxy) Cut() { p.proxy.Stop() }

// LoseReplies lets requests through and drops what the server answers: the
// work is done, and nobody hears of it.
func (p *Proxy) LoseReplies() error {
	return p.add("timeout", "downstream", map[string]any{"timeout": 0})
}

// LoseRequests drops what clients send; the connections stay.
func (p *Proxy) LoseRequests() error {
	return p.add("timeout", "upstream", map[string]any{"timeout": 0})
}

// CutAfterRequest ends a connection in place of the server's next answer: the
// request went through, and the client sees the end of the stream.
func (p *Proxy) CutAfterRequest() error {
	return p.add("limit_data", "downstream", map[string]any{"bytes": 0})
}

// Latency holds back what clients send and what the server answers, by whole ms.
func (p *Proxy) Latency(requests, answers time.Duration) error {
	for direction, d := range map[string]time.Duration{"upstream": requests, "downstream": answers} {
		if d == 0 {
			continue
		}
		if err := p.add("latency", direction, map[string]any{"latency": d.Milliseconds()}); err != nil {
			return err
		}
	}
	return nil
}

// Heal undoes every fault. Connections whose data was dropped are ended: what
// they would say next makes no sense any more.
func (p *Proxy) Heal() error {
	p.proxy.Toxics.ResetToxics(context.Background())
	if p.proxy.Enabled {
		return nil
	}
	if err := p.proxy.Start(); err != nil {
		return fmt.Errorf("servers: proxy: %w", err)
	}
	return nil
}

func (p *Proxy) add(name, direction string, attributes map[string]any) error {
	body, err := json.Marshal(map[string]any{"type": name, "stream": direction, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(bytes.NewReader(body))
	}
	if err != nil {
		return fmt.Errorf("servers: proxy: %s: %w", name, err)
	}
	return nil
}
