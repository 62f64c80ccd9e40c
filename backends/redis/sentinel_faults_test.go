package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// One Sentinel that answers well is enough, so one that can be waited for is
// enough to wait.
func TestWhatSeveralSentinelsSay(t *testing.T) {
	t.Parallel()
	refusedDial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, row := range []struct {
		name    string
		each    []error
		refused bool
		says    string
	}{
		{"none is there", []error{refusedDial, refusedDial}, false, "connection refused"},
		{"one is new and knows nothing, others are away", []error{refusedDial, goredis.Nil, refusedDial}, false, "connection refused"},
		{"one denies the login, another is away", []error{reply("WRONGPASS no"), refusedDial}, false, "connection refused"},
		{"all know nothing", []error{goredis.Nil, goredis.Nil}, true, "master_name"},
		{"all deny the login", []error{reply("NOAUTH no"), reply("WRONGPASS no")}, true, "sentinel_password"},
		{"all lack a permission", []error{reply("NOPERM no")}, true, "+sentinel|get-master-addr-by-name"},
		{"they are no Sentinels", []error{reply("ERR unknown command 'sentinel', with args beginning with: 'x'")}, true, "no Sentinel"},
		{"one is still loading", []error{reply("LOADING"), goredis.Nil}, false, "LOADING"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := &Backend{log: slog.New(slog.DiscardHandler), topology: &topology{form: sentinel}}
			err := fmt.Errorf("redis: all sentinels specified in configuration are unreachable: %w", errors.Join(row.each...))
			f := b.judge(context.Background(), scripts.Acquire, "k", fmt.Errorf("dial: %w", err), false)
			if f.outcome != backends.NotRun || backends.IsRefused(f.err) != row.refused || !strings.Contains(f.err.Error(), row.says) {
				t.Errorf("%v, refused %v: %v; want refused %v, saying %q", f.outcome, backends.IsRefused(f.err), f.err, row.refused, row.says)
			}
		})
	}
}

// The inboxes of one node must not wait for those of another.
func TestANodeThatDoesNotAnswerHoldsUpItsOwnInboxesOnly(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 8)
	var dead atomic.Int64 // of the messages that nobody answered
	d := newDeliverer(func(ctx context.Context, channel, _ string) error {
		if strings.HasSuffix(channel, "dead") {
			<-ctx.Done()
			dead.Add(1)
			return ctx.Err()
		}
		sent <- channel
		return nil
	}, func(channel string) string { return channel[len(channel)-4:] })
	b := &Backend{deliverer: d}
	const many = 100 // they take half a minute, a heartbeat each
	for range many {
		b.deliver([]told{{"1dead", "g"}})
	}
	b.deliver([]told{{"1live", "g"}})
	select {
	case <-sent:
	case <-t.Context().Done():
	}
	if dead.Load() == many {
		t.Error("a message to a node that answers waits for one that doesn't")
	}
	d.close()
	d.wait()
}
