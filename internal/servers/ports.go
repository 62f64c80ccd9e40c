package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

// A server that is stopped is started again on its port, and nobody listens there in
// between. So every port given lies below those that systems give to outgoing
// connections and to listeners that name none (from 32768 on Linux, from 49152
// elsewhere), and so does the bus of a cluster's node, 10 000 above.
//
// The range is in parts. A part is one process's as long as that lives: it listens on
// the part's first port, the guard, which no other process can do meanwhile. Of
// its parts a process gives each port once.
const (
	firstPort, lastPort = 12000, 21999
	portParts           = 48
	partPorts           = (lastPort - firstPort + 1) / portParts
)

// A portPool is a process's part of the range.
type portPool struct {
	mu         sync.Mutex // protects the rest
	guards     []net.Listener
	next, left int // the next port to give; how many are left in its part
}

var ports portPool

// Addr is an address of 127.0.0.1 that nobody listens on, and that no other server of
// this package, of this process or of another, is started on.
func Addr() (string, error) { return ports.addr(0) }

// addr finds such an address, and one above it by bus that is free as well (0: that
// doesn't matter).
func (p *portPool) addr(bus int) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken error
	for {
		if p.left == 0 {
			if err := p.claim(); err != nil {
				return "", errors.Join(err, taken)
			}
		}
		port := p.next
		p.next++
		p.left--
		// A program that knows nothing of parts may be there.
		addr := loopback(port)
		if err := errors.Join(free(addr), free(loopback(port+bus))); err != nil {
			taken = errors.Join(taken, err)
			continue
		}
		return addr, nil
	}
}

// claim makes a part this process's. Processes that are started one after the other
// begin their search in different ones.
func (p *portPool) claim() error {
	var taken error
	for i := range portParts {
		first := firstPort + (os.Getpid()+i)%portParts*partPorts
		guard, err := net.Listen("tcp", loopback(first))
		if err != nil {
			taken = errors.Join(taken, err)
			continue
		}
		p.guards = append(p.guards, guard) // it ends with the process
		p.next, p.left = first+1, partPorts-1
		return nil
	}
	return fmt.Errorf("servers: no free port: %w", taken)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func free(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}
