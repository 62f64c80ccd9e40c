//go:build linux || darwin

package main

import (
	"context"
	"testing"

	"github.com/turnstile-go/turnstile/internal/servers/servertest"
)

// With stty tostop a write from the background stops the process that writes; while
// the command has the terminal, that is turnstile.
func TestATerminalThatStopsTalkersDoesNotStopTurnstile(t *testing.T) {
	t.Parallel()
	server := servertest.Redis(t)
	s := shell(t, server.URL())
	s.press("stty tostop; turnstile run --expires 1s k -- sh -c 'trap \"\" TERM; echo run''ning; while :; do sleep 600; done'; echo code=$?\r")
	s.expect("running\r\n")
	if n, err := server.RedisClient(t, nil).Del(context.Background(), "pylock:k").Result(); n != 1 || err != nil {
		t.Fatalf("DEL: %d, %v", n, err)
	}
	s.expect("code=76\r\n")
}
