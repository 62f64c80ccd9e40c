package embedded_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

func program(t *testing.T, source string) *engine.Program {
	t.Helper()
	p, err := engine.Compile(t.Name(), source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScriptsOfOnesOwnShareTheStoreByName, and lose it with its last user.
func TestScriptsOfOnesOwnShareTheStoreByName(t *testing.T) {
	set, get := program(t, "return redis.call('SET', KEYS[1], ARGV[1])"), program(t, "return redis.call('GET', KEYS[1])")
	keys := []string{"one", "{one}:more"}
	one, two, other := embedded.OpenScripts(t.Name()), embedded.OpenScripts(t.Name()), embedded.OpenScripts(t.Name()+" other")
	if _, err := one.Run(set, keys, []string{"value"}); err != nil {
		t.Fatal(err)
	}
	if r, err := two.Run(get, keys, nil); err != nil || r.Str != "value" {
		t.Errorf("another of the same name reads %+v, %v", r, err)
	}
	if r, err := other.Run(get, keys, nil); err != nil || r.Kind != keyspace.Nil {
		t.Errorf("another store has %+v, %v", r, err)
	}
	for _, s := range []*embedded.Scripts{one, one, other} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := one.Run(get, keys, nil); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
	if r, err := two.Run(get, keys, nil); err != nil || r.Str != "value" {
		t.Errorf("after another's close, twice: %+v, %v", r, err)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	again := embedded.OpenScripts(t.Name())
	defer again.Close()
	if r, err := again.Run(get, keys, nil); err != nil || r.Kind != keyspace.Nil {
		t.Errorf("after the last one's close: %+v, %v", r, err)
	}
}

// TestAScriptOfOnesOwnLeavesTheStoreInOrder: one that runs for ever is ended, and
// ours goes on in the same shard.
func TestAScriptOfOnesOwnLeavesTheStoreInOrder(t *testing.T) {
	own := embedded.OpenScripts(t.Name())
	defer own.Close()
	ours := newSession(t, t.Name())
	r := ours.request("key", time.Minute, false)
	var raised *engine.ErrorReply
	if _, err := own.Run(program(t, "while true do end"), []string{r.Key}, nil); !errors.As(err, &raised) {
		t.Errorf("an endless script: %v", err)
	}
	// A message that looks like one of ours has nowhere to go.
	if _, err := own.Run(program(t, "return redis.call('PUBLISH', ARGV[1], 'w')"), []string{r.Key}, []string{"turnstile:inbox:" + string(ours.id)}); err != nil {
		t.Error(err)
	}
	ours.want(t, backends.Granted, r)
	if len(ours.wakes) != 0 {
		t.Errorf("woken by a script that is not ours: %+v", <-ours.wakes)
	}
	if reply, err := own.Run(program(t, "return redis.call('EXISTS', KEYS[1])"), []string{r.Key}, nil); err != nil || reply.Int != 1 {
		t.Errorf("our lease is not there: %+v, %v", reply, err)
	}
}

// TestAnInterpreterLeavesItsBubbleBehind: one that a store gave back inside a bubble of
// testing/synctest serves another store outside. A channel of the bubble's that went
// with it would end the process at the first script that runs too long.
func TestAnInterpreterLeavesItsBubbleBehind(t *testing.T) {
	endless, get := program(t, "while true do end"), program(t, "return redis.call('GET', KEYS[1])")
	for range 8 { // a pool may lose what it was given
		synctest.Test(t, func(t *testing.T) {
			inside := embedded.OpenScripts("inside")
			if _, err := inside.Run(get, []string{"k"}, nil); err != nil {
				t.Error(err)
			}
			if err := inside.Close(); err != nil {
				t.Error(err)
			}
		})
		outside := embedded.OpenScripts("outside")
		var raised *engine.ErrorReply
		if _, err := outside.Run(endless, []string{"k"}, nil); !errors.As(err, &raised) {
			t.Errorf("an endless script: %v", err)
		}
		if err := outside.Close(); err != nil {
			t.Error(err)
		}
	}
}
