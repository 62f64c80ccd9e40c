package servers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// A process is one child. gone is closed by its minder once it was reaped.
type process struct {
	pid  int
	os   *os.Process
	gone chan struct{}
}

// launch starts a child and a goroutine that minds it until its end.
//
// The minder keeps its thread to itself for as long as the child lives: the
// parent-death signal fires when the *thread* that forked ends, and Go ends
// threads at will, which would kill a healthy server in the middle of a test.
func launch(binary string, args []string, dir string, out *output) (*process, error) {
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, out, out, environment()
	cmd.SysProcAttr = dieWithParent()
	started := make(chan error, 1)
	p := &process{gone: make(chan struct{})}
	go func() { // ends with the child: see kill
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is of no interest, and its output is kept
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("servers: %w", err)
	}
	p.os, p.pid = cmd.Process, cmd.Process.Pid
	return p, nil
}

// environment is all that a server is told of ours. A Redis doesn't start in a
// locale that the machine lacks, an etcd takes options from ETCD_…, and a memcached
// from MEMCACHED_…
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

func (p *process) kill() {
	_ = p.os.Kill() // an error means that it is gone already
	<-p.gone
}

func (p *process) alive() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// output keeps the last few KiB that a server wrote.
type output struct {
	mu  sync.Mutex // protects buf: the child's two streams and a failing test's reader
	buf []byte
}

const outputKept = 8 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = append(o.buf, p...)
	if over := len(o.buf) - outputKept; over > 0 {
		o.buf = append([]byte(nil), o.buf[over:]...)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(bytes.ToValidUTF8(o.buf, []byte("?")))
}
