package main

import "github.com/turnstile-go/turnstile/cmd/turnstile/internal/guard"

// reapOrphans has nothing to do: all orphans are launchd's.
func reapOrphans(int, *guard.Guard) (stop func()) { return func() {} }
