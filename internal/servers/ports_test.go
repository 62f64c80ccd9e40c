package servers

import (
	"net"
	"strconv"
	"testing"
)

// A server that is stopped leaves its port with nobody listening: no other of ours may
// be started there, be it this process's or another's.
func TestNoPortIsGivenTwice(t *testing.T) {
	var processes [2]portPool // each as another process's
	t.Cleanup(func() {
		for i := range processes {
			for _, guard := range processes[i].guards {
				_ = guard.Close() // nothing is said there
			}
		}
	})
	given := make(map[string]int)
	for range partPorts + 10 { // more than a part has
		for i := range processes {
			addr, err := processes[i].addr(busOffset)
			if err != nil {
				t.Fatal(err)
			}
			if by, ok := given[addr]; ok {
				t.Fatalf("%s is given to process %d and to process %d", addr, by, i)
			}
			given[addr] = i
			steady(t, addr)
		}
	}
}

// steady fails the test if the system may give the address, or that of its bus, to a
// connection or to a listener that names no port.
func steady(t *testing.T, addr string) {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	// 32768 is where Linux begins with the ports of outgoing connections.
	if port+busOffset >= 32768 {
		t.Errorf("port %d has its bus at %d", port, port+busOffset)
	}
}

func TestAServersPortsAreItsOwnWhileItIsStopped(t *testing.T) {
	for name, addr := range map[string]func() string{
		"server": func() string { return begun(t, StartRedis).Addr },
		"proxy": func() string {
			p, err := StartProxy(begun(t, StartRedis).Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Cut)
			return p.Addr
		},
	} {
		t.Run(name, func(t *testing.T) { steady(t, addr()) })
	}
}
