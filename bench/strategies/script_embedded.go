package strategies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/bench"
)

// An embeddedRunner runs scripts in this process, in a store of the run's own.
type embeddedRunner struct{ scripts *embedded.Scripts }

func openEmbedded(ctx context.Context, at bench.Place, _ verbs) (runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return embeddedRunner{embedded.OpenScripts(at.Run)}, nil
}

func (e embeddedRunner) run(ctx context.Context, v *verb, keys, argv []string) (reply, error) {
	if err := ctx.Err(); err != nil {
		return reply{}, err
	}
	r, err := e.scripts.Run(v.program, keys, argv)
	if err == nil && r.Kind == keyspace.Error {
		err = &engine.ErrorReply{Message: r.Str}
	}
	var raised *engine.ErrorReply
	if errors.As(err, &raised) {
		return reply{}, explain(v, raised.Message)
	}
	return r, err
}

func (e embeddedRunner) close() error { return e.scripts.Close() }

// explain adds what the engine's words leave open: its errors are Redis's, and
// Redis need not say what it has.
func explain(v *verb, message string) error {
	err := failure(v.path, message)
	switch {
	case strings.HasPrefix(message, keyspace.ErrUnknown):
		names := keyspace.Names()
		slices.Sort(names)
		return fmt.Errorf("%w: %sthe embedded engine has %s", err, unknown(v), strings.Join(names, ", "))
	case strings.Contains(message, "script killed"):
		return fmt.Errorf("%w (%d): does it loop for ever?", err, engine.Budget)
	case strings.Contains(message, "nonexistent global variable"):
		return fmt.Errorf("%w: the embedded engine has base, string, table, math and redis, and parts of them; a name of one's own has to be local", err)
	}
	return err
}

// unknown names the calls of a script that the engine has no command for.
func unknown(v *verb) string {
	var found strings.Builder
	for _, c := range v.calls() {
		if keyspace.Find(c.command) == nil {
			fmt.Fprintf(&found, "%s:%d calls %s; ", v.path, c.line, cut(c.command))
		}
	}
	return found.String()
}
