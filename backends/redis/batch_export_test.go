package redis

import (
	"context"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// SendAlone makes every caller send its own request, as if there were no
// batches: what benchmarks compare with. Call it before anything else.
func (b *Backend) SendAlone() { b.batch.alone = math.MaxInt }

// WaitAlone lets lone callers wait as long as their calls do, so that no test depends on
// how busy the machine is. Call it before anything else.
func (b *Backend) WaitAlone() { b.aloneBudget = time.Hour }

// Out is how many callers and how many batches are on their way, and how many
// commands wait.
func (b *Backend) Out() (lone, batches, pending int) {
	b.batch.mu.Lock()
	defer b.batch.mu.Unlock()
	return b.batch.lone, b.batch.flushers, len(b.batch.pending)
}

// AloneMost is how many callers send alone at once.
const AloneMost = aloneMost

// InDoubt reports whether the session's attempts at a key end in full, and marked.
func (b *Backend) InDoubt(key string) bool {
	_, mark := b.memory.way(backends.Call{Request: backends.Request{Attempt: backends.Attempt{Key: key}}})
	return mark
}

// A Cut decides of some bytes how many go through, and whether the connection
// ends after these.
type Cut func(p []byte) (keep int, cut bool)

// Faults dials connections that end when a test says so: on what was read, so
// that the server did its work, or on what is to be written.
type Faults struct {
	Addr        string
	Read, Write atomic.Pointer[Cut]
}

// Dial is a dialer of the driver's.
func (f *Faults) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, f.Addr)
	return &faultyConn{Conn: conn, faults: f}, err
}

type faultyConn struct {
	net.Conn
	faults *Faults
	ended  atomic.Bool // a peer that ended a connection is EOF, which the driver would retry
}

func (c *faultyConn) Read(p []byte) (int, error) {
	if c.ended.Load() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p)
	if f := c.faults.Read.Load(); f != nil && n > 0 {
		if keep, cut := (*f)(p[:n]); cut {
			c.ended.Store(true)
			_ = c.Close()
			if keep == 0 {
				return 0, io.EOF
			}
			return keep, nil
		}
	}
	return n, err
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if f := c.faults.Write.Load(); f != nil {
		if keep, cut := (*f)(p); cut {
			n, _ := c.Conn.Write(p[:keep]) // the cut is the error
			_ = c.Close()
			return n, io.ErrClosedPipe
		}
	}
	return c.Conn.Write(p)
}

// Together lets quiet keys share requests again.
func (b *Backend) Together() { b.batch.parted.Store(new(time.Now())) }

// Spread has the beats of each waiting attempt that far apart at least. Call it after Subscribe, before anything waits.
func (b *Backend) Spread(d time.Duration) { b.inbox.Load().beater.least = d }
