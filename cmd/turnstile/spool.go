package main

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// mostSpooled bounds the bytes that wait to be written, 1 MiB.
	mostSpooled = 1 << 20
	// beforeStart is how long the start of a command waits for earlier messages to
	// be written, so that a stderr shared by both keeps their order.
	beforeStart = 100 * time.Millisecond
	// lastWords is how long the end of turnstile waits for messages still to be
	// written.
	lastWords = 400 * time.Millisecond
)

// A spool takes turnstile's messages for stderr and writes them from a goroutine of
// its own. A writer to the spool never waits: a full pipe or a stopped terminal must
// not stand between the loss of a hold and the end of its command. Messages that do
// not fit are dropped and counted; the count is written where the lines are missing,
// as soon as writing works again.
type spool struct {
	w    io.Writer
	more chan struct{} // has a value when the goroutine has something to look at

	mu      sync.Mutex      // protects what follows
	texts   [][]byte        // in the order of their writing
	size    int             // of the texts, and of what is being written, in bytes
	dropped int             // after the texts
	marks   []chan struct{} // closed when the texts and the count above are written
	closed  bool
}

func newSpool(w io.Writer) *spool {
	s := &spool{w: w, more: make(chan struct{}, 1)}
	go s.run() // ends after close; with the process if w never takes anything again
	return s
}

// Write never blocks and never fails.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	// After a first drop all further messages are dropped until the queue is taken:
	// one count stands for all that is missing in that place.
	if s.dropped > 0 || s.size+len(p) > mostSpooled {
		s.dropped++
	} else {
		s.size += len(p)
		s.texts = append(s.texts, bytes.Clone(p))
	}
	s.mu.Unlock()
	s.wake()
	return len(p), nil
}

func (s *spool) wake() {
	select {
	case s.more <- struct{}{}:
	default: // the goroutine will look anyway
	}
}

func (s *spool) run() {
	for {
		texts, dropped, marks, closed := s.take()
		for _, text := range texts {
			// One write a message: then other writers to the same pipe can't get
			// between its bytes. An error is dropped: a reader that is gone can't be
			// told.
			_, _ = s.w.Write(text)
			s.mu.Lock()
			s.size -= len(text)
			s.mu.Unlock()
		}
		if dropped > 0 {
			_, _ = io.WriteString(s.w, "turnstile: warning: stderr was blocked: messages missing here: "+strconv.Itoa(dropped)+"\n")
		}
		for _, reached := range marks {
			close(reached)
		}
		switch {
		case closed && len(texts) == 0 && dropped == 0:
			return
		case len(texts)+dropped+len(marks) == 0: // or more may have come
			<-s.more
		}
	}
}

// take takes all that waits to be written.
func (s *spool) take() (texts [][]byte, dropped int, marks []chan struct{}, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts, dropped, marks = s.texts, s.dropped, s.marks
	s.texts, s.dropped, s.marks = nil, 0, nil
	return texts, dropped, marks, s.closed
}

// flush returns when all earlier messages are written, or after d.
func (s *spool) flush(d time.Duration) {
	reached := make(chan struct{})
	s.mu.Lock()
	s.marks = append(s.marks, reached)
	s.mu.Unlock()
	s.wake()
	patience := time.NewTimer(d)
	defer patience.Stop()
	select {
	case <-reached:
	case <-patience.C:
	}
}

// close flushes for as long as the end of turnstile may wait. Later messages may be
// lost.
func (s *spool) close() {
	s.flush(lastWords)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
}

// settle waits a moment for the messages so far, so that they stand before the
// command's own output.
func (s settings) settle() {
	if said, ok := s.stderr.(*spool); ok {
		said.flush(beforeStart)
	}
}

// terminalOf returns the terminal that w ends up on; nil if it is none.
func terminalOf(w io.Writer) *os.File {
	if s, ok := w.(*spool); ok {
		w = s.w
	}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		return f
	}
	return nil
}
