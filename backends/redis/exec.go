package redis

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/scripts"
)

// run executes one script for one attempt, with one request of its own. It is
// the only place that sends scripts, and the verbs ask no more of it than this:
// either the script's reply, or a fault that says whether it may have run.
func (b *Backend) run(ctx context.Context, s *scripts.Script, key string, args ...string) (any, *fault) {
	if b.closed.Load() {
		return nil, &fault{outcome: backends.NotRun, err: errClosed}
	}
	keys := scripts.Keys(key)
	cmd := newCommand(ctx, "evalsha", s.SHA, keys, args)
	err := b.client.Process(ctx, cmd)
	if isNoScript(err) {
		// A restart or SCRIPT FLUSH: nothing ran. EVAL brings the script along
		// and leaves it with the server, for this call and those that follow.
		cmd = newCommand(ctx, "eval", s.Source, keys, args)
		err = b.client.Process(ctx, cmd)
	}
	if err == nil {
		return cmd.Val(), nil
	}
	f := b.judge(ctx, s, key, err, cmd.written.Load())
	if f.wrongType {
		f.err = b.nameWrongType(ctx, keys, f.err)
	}
	return nil, f
}

// A command is a script's request. It is never sent again by the driver, and
// it knows whether it was ever given to a connection.
type command struct {
	*goredis.Cmd
	written atomic.Bool
}

// NoRetry keeps the driver from sending a script twice. MaxRetries: -1 alone
// does not: the cluster client retries on its own.
func (*command) NoRetry() bool { return true }

// newCommand builds an EVALSHA or EVAL. The last argument reports when the
// driver serializes it, which is the proof that errors.go rests on: a server
// runs nothing of a request whose end it can't have seen.
func newCommand(ctx context.Context, verb, script string, keys, args []string) *command {
	list := make([]any, 0, 3+len(keys)+len(args))
	list = append(list, verb, script, len(keys))
	for _, k := range keys {
		list = append(list, k)
	}
	for _, a := range args {
		list = append(list, a)
	}
	cmd := new(command)
	last, _ := list[len(list)-1].(string)
	list[len(list)-1] = watched{last, &cmd.written}
	cmd.Cmd = goredis.NewCmd(ctx, list...)
	return cmd
}

// watched is an argument that reports its own serialization. go-redis asks an
// argument for its bytes in one place, when it writes the command.
type watched struct {
	arg     string
	written *atomic.Bool
}

// MarshalBinary is called by the driver's writer.
func (w watched) MarshalBinary() ([]byte, error) {
	w.written.Store(true)
	return []byte(w.arg), nil
}

func isNoScript(err error) bool {
	var reply goredis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "NOSCRIPT")
}
