package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/bench"
	"github.com/turnstile-go/turnstile/lockclient"
	"github.com/turnstile-go/turnstile/scripts"
)

// The ceiling is what the server does with acquire.lua and release.lua when no
// client stands in its way. redis-benchmark itself can't send the pair: it
// would need the same random key four times in one request, and a token that
// no attempt had before. So this sends what it would: pipelines of requests
// that were built beforehand, of which only the attempt's digits change.
//
// All connections together have 512 requests under way, as our 512 callers do.
const (
	ceilingConns = 8
	ceilingDepth = 64
	// ioPatience is for a server that has stopped answering: a connection without
	// a deadline would never see the end of the run.
	ioPatience = 10 * time.Second
)

// A ceiling is no lock: its callers never wait for each other.
type ceiling struct{}

var _ bench.Yardstick = ceiling{}

func (ceiling) Name() string { return "redis-ceiling" }

func (ceiling) Describe() bench.Description {
	return bench.Description{
		Settings: fmt.Sprintf("no lock: %d connections, each pipelining %d acquire.lua and then their release.lua, requests built beforehand", ceilingConns, ceilingDepth),
		Place:    bench.PlaceRedis, Peer: true,
	}
}

func (ceiling) Open(context.Context, bench.Place) (bench.Locker, error) {
	return nil, errors.New("ceiling: it is no lock")
}

// Work drives all connections through the workload's phases.
func (ceiling) Work(ctx context.Context, at bench.Place, w bench.Workload) (holds uint64, elapsed time.Duration, err error) {
	conns, err := dialCeilings(at, w.Keys)
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.conn.Close())
		}
	}()
	if err != nil {
		return 0, 0, err
	}
	var phase atomic.Int32
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { c.err = c.run(&phase) }) // ends with the phases, or at an error; the connection's deadline sees to that
	}
	pass(ctx, w.Warmup)
	began := time.Now()
	phase.Store(measuring)
	pass(ctx, w.Duration)
	phase.Store(stopped)
	elapsed = time.Since(began)
	wg.Wait()
	for _, c := range conns {
		holds += c.pairs
		err = errors.Join(err, c.err)
	}
	return holds, elapsed, err
}

// The phases of a ceiling's run, after the warm-up.
const (
	measuring = 1
	stopped   = 2
)

// pass lets d pass, or ctx end.
func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A ceilingConn has keys of its own, so that every acquire is granted.
type ceilingConn struct {
	conn    net.Conn
	replies *bufio.Reader
	session backends.Session // its own, since a token belongs to one attempt of one session
	attempt uint64           // the highest used: the server does nothing for one that is settled
	// batches are walked in turn: each is acquires of some keys, then their releases.
	batches []*batch
	pairs   uint64
	err     error
}

// A batch is ready to be written but for its attempts' digits.
type batch struct {
	acquires, releases []byte
	digits             [2][]int // where the digits stand, one place a request
	size               int
}

// dialCeilings returns what it opened even if it fails: all have to be closed.
func dialCeilings(at bench.Place, keys int) (conns []*ceilingConn, err error) {
	// What the division leaves over is left out, a handful of ten thousand.
	per := keys / ceilingConns
	if per == 0 {
		return nil, fmt.Errorf("ceiling: %d keys are too few", keys)
	}
	for i := range ceilingConns {
		var names []string
		for n := range per {
			names = append(names, at.Run+":"+strconv.Itoa(i*per+n)) // as long as the driver's
		}
		c, err := dialCeiling(at.Addr, names)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// dialCeiling also loads the scripts: an EVALSHA that finds none would be a
// reply that costs the server nothing.
func dialCeiling(addr string, names []string) (*ceilingConn, error) {
	conn, err := net.DialTimeout("tcp", addr, ioPatience)
	if err != nil {
		return nil, fmt.Errorf("ceiling: %w", err)
	}
	c := &ceilingConn{conn: conn, replies: bufio.NewReaderSize(conn, 64<<10), session: backends.NewSession()}
	for len(names) > 0 {
		n := min(ceilingDepth, len(names))
		c.batches = append(c.batches, newBatch(names[:n], c.session))
		names = names[n:]
	}
	for _, s := range []*scripts.Script{scripts.Acquire, scripts.Release} {
		_, err := conn.Write(resp("SCRIPT", "LOAD", s.Source()))
		if err == nil {
			err = c.bulk(s.SHA())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("ceiling: script load: %w", err), conn.Close())
		}
	}
	return c, nil
}

// newBatch builds the requests of some keys with placeholders for attempts. The
// acquires go first and together, as those of many callers would.
func newBatch(names []string, session backends.Session) *batch {
	b := &batch{size: len(names)}
	token := session.Token(1).Wire()
	for _, name := range names {
		key := lockclient.DefaultKeyPrefix + name // as long as ours
		b.acquires = b.add(b.acquires, 0, token, acquireArgs("EVALSHA", scripts.Acquire.SHA(), key, session.Token(1)))
		b.releases = b.add(b.releases, 1, token, command("EVALSHA", scripts.Release.SHA(), key, token, mark, push))
	}
	return b
}

// add appends a request and notes where its attempt's digits stand.
func (b *batch) add(buf []byte, half int, token string, args []any) []byte {
	text := make([]string, len(args))
	for i, a := range args {
		text[i] = fmt.Sprint(a)
	}
	request := resp(text...)
	b.digits[half] = append(b.digits[half], len(buf)+bytes.Index(request, []byte(token))+len(token)-attemptDigits)
	return append(buf, request...)
}

const attemptDigits = 12 // at a token's end

// number gives the batch's requests their attempts, counted on from first.
func (b *batch) number(first uint64) {
	for i := range b.size {
		n := first + uint64(i)
		for d := attemptDigits - 1; d >= 0; d-- {
			digit := byte('0' + n%10)
			b.acquires[b.digits[0][i]+d], b.releases[b.digits[1][i]+d] = digit, digit
			n /= 10
		}
	}
}

// resp is a request as it travels.
func resp(args ...string) []byte {
	buf := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		buf = fmt.Appendf(buf, "$%d\r\n%s\r\n", len(a), a)
	}
	return buf
}

// run sends one batch after another and counts a pair when both its halves were
// granted; a batch that the end cuts in two does not count.
func (c *ceilingConn) run(phase *atomic.Int32) error {
	for i := 0; phase.Load() != stopped; i++ {
		b := c.batches[i%len(c.batches)]
		b.number(c.attempt + 1)
		c.attempt += uint64(b.size)
		if err := c.conn.SetDeadline(time.Now().Add(ioPatience)); err != nil {
			return fmt.Errorf("ceiling: %w", err)
		}
		if err := c.exchange(b.acquires, b.size, granted); err != nil {
			return fmt.Errorf("ceiling: acquire: %w", err)
		}
		if err := c.exchange(b.releases, b.size, released); err != nil {
			return fmt.Errorf("ceiling: release: %w", err)
		}
		if phase.Load() == measuring {
			c.pairs += uint64(b.size)
		}
	}
	return nil
}

// The replies hold the server to doing the whole work: six elements and four,
// of which the second says that it was granted, or released.
const (
	granted  = "*6"
	released = "*4"
	success  = ":1"
)

// exchange writes one half of a batch whole before it reads: 64 requests are
// some 25 KB, which the sockets' buffers take, so neither side blocks the other.
func (c *ceilingConn) exchange(requests []byte, n int, header string) error {
	if _, err := c.conn.Write(requests); err != nil {
		return err
	}
	for range n {
		if err := c.reply(header); err != nil {
			return err
		}
	}
	return nil
}

// reply reads one array, of which it keeps nothing: what the client's side
// costs is to be as little as can be.
func (c *ceilingConn) reply(header string) error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if string(line) != header {
		return fmt.Errorf("reply %q, want %q", line, header)
	}
	for i := range int(header[1] - '0') {
		if line, err = c.line(); err != nil {
			return err
		}
		if i == 1 && string(line) != success {
			return fmt.Errorf("reply says %q, want %q", line, success)
		}
		if line[0] == '$' {
			if _, err = c.line(); err != nil {
				return err
			}
		}
	}
	return nil
}

// line is the next line, valid until the one after it is read.
func (c *ceilingConn) line() ([]byte, error) {
	line, err := c.replies.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if line = bytes.TrimSuffix(line, []byte("\r\n")); len(line) == 0 {
		return nil, io.ErrUnexpectedEOF // none of our scripts' strings is empty
	}
	return line, nil
}

// bulk reads a bulk string and compares it.
func (c *ceilingConn) bulk(want string) error {
	for _, prefix := range []string{"$", want} {
		if line, err := c.line(); err != nil {
			return err
		} else if !bytes.HasPrefix(line, []byte(prefix)) {
			return fmt.Errorf("reply %q, want %q", line, prefix)
		}
	}
	return nil
}
