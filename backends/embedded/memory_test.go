package embedded_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func TestALiveLockIsSmall(t *testing.T) {
	const n = 50_000
	s := newSession(t, t.Name())
	s.want(t, backends.Granted, s.request("warm", time.Second, false))
	before := heap()
	for i := range n {
		s.want(t, backends.Granted, s.request(fmt.Sprintf("pylock:%d", i), time.Hour, false))
	}
	live := heap() - before
	t.Logf("%d B a live lock", live/n)
	if live/n > 600 {
		t.Errorf("%d B a live lock, want at most 600", live/n)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
