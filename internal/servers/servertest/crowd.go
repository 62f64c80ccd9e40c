package servertest

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// Crowd connects to a server until the server lets nobody in, and returns how to leave.
// A connection is let in if the first line that it gets for ask is welcome. All leave at
// the test's end at the latest.
func Crowd(t testing.TB, addr, ask, welcome string) (leave func()) {
	t.Helper()
	var crowd []net.Conn
	leave = func() {
		for _, c := range crowd {
			_ = c.Close() // again, perhaps
		}
	}
	t.Cleanup(leave)
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
		_ = c.SetDeadline(time.Now().Add(time.Minute)) // it is open
		_, _ = io.WriteString(c, ask)
		// Who is turned away gets another line, or none.
		if line, _ := bufio.NewReader(c).ReadString('\n'); line != welcome {
			return leave
		}
	}
}
