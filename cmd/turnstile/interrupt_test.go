package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The second signal of timeout(1) comes with the first; taken for impatience, it
// would end a release before the message that the hold stays revoked.
func TestASignalThatComesTwiceAtOnceIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		signals := make(chan os.Signal, 1)
		begin, impatient := time.Now(), make(chan struct{})
		go func() { // ends soon after the first signal
			cancelBy(ctx, cancel, signals)
			close(impatient)
		}()
		signals <- syscall.SIGTERM
		<-ctx.Done()
		var by *interrupt
		if !errors.As(context.Cause(ctx), &by) || by.number != syscall.SIGTERM {
			t.Errorf("ended by %v", context.Cause(ctx))
		}
		<-impatient
		if took := time.Since(begin); took != 300*time.Millisecond {
			t.Errorf("after %v another signal ends the process, want 300 ms", took)
		}
	})
}
