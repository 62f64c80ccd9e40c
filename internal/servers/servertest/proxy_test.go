package servertest

import (
	"context"
	"runtime"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/turnstile-go/turnstile/internal/servers"
	"github.com/turnstile-go/turnstile/internal/testmain"
)

func TestMain(m *testing.M) {
	testmain.Prepare(8)
	goleak.VerifyTestMain(m)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // which only a defect outlasts
	t.Cleanup(cancel)
	return ctx
}

func TestProxyFaults(t *testing.T) {
	s := Redis(t)
	direct := s.RedisClient(t, nil)
	for name, fault := range map[string]struct {
		inject   func(*Proxy)
		executed bool
	}{
		"cut":               {(*Proxy).Cut, false},
		"replies lost":      {(*Proxy).LoseReplies, true},
		"requests lost":     {(*Proxy).LoseRequests, false},
		"cut after request": {(*Proxy).CutAfterRequest, true},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := NewProxy(t, s.Addr)
			client := (&servers.Server{Addr: proxy.Addr}).RedisClient(t, &goredis.Options{MaxRetries: -1, ContextTimeoutEnabled: true})
			if err := client.Ping(bounded(t)).Err(); err != nil {
				t.Fatal(err)
			}
			fault.inject(proxy)
			short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := client.Set(short, t.Name(), "1", 0).Err(); err == nil {
				t.Error("no error under the fault")
			}
			executed := func() bool { return direct.Exists(bounded(t), t.Name()).Val() == 1 }
			for end := bounded(t); fault.executed && !executed() && end.Err() == nil; {
				runtime.Gosched() // it was sent, and may be on its way still
			}
			if got := executed(); got != fault.executed {
				t.Errorf("executed: %v, want %v", got, fault.executed)
			}
			proxy.Heal()
			if err := client.Ping(bounded(t)).Err(); err != nil {
				// The first call may still meet the connection that the fault spoiled.
				if err = client.Ping(bounded(t)).Err(); err != nil {
					t.Errorf("after healing: %v", err)
				}
			}
		})
	}
}
