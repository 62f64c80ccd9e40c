package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A gate is a stderr that takes nothing until it is opened.
type gate struct {
	opened chan struct{}
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.opened
	return g.Buffer.Write(p)
}

func TestWhatIsSaidComesInItsOrderAndWhole(t *testing.T) {
	var out, want bytes.Buffer
	s := newSpool(&out)
	for i := range 5000 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	s.flush(time.Hour)
	s.close()
	if out.String() != want.String() {
		t.Errorf("%d bytes came out, want %d, the same", out.Len(), want.Len())
	}
}

func TestWhatDoesNotFitIsCountedWhereItIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{opened: make(chan struct{})}
		s := newSpool(g)
		line := strings.Repeat("x", mostSpooled/4-1) + "\n"
		for range 7 { // 4 fit
			io.WriteString(s, line)
			synctest.Wait() // the first is being written, and stays so
		}
		io.WriteString(s, "short\n") // it would fit, but out of order
		begin := time.Now()
		s.flush(time.Second)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("flush waited for %v, want 1 s", took)
		}
		close(g.opened)
		s.flush(time.Hour)
		io.WriteString(s, "after\n")
		s.close()
		synctest.Wait()
		want := strings.Repeat(line, 4) + "turnstile: warning: stderr was blocked: messages missing here: 4\nafter\n"
		if got := g.String(); got != want {
			t.Errorf("%d bytes, want %d; the end is %q", len(got), len(want), got[max(0, len(got)-120):])
		}
	})
}
