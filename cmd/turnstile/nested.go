//go:build linux || darwin

package main

import (
	"context"
	"os"
	"slices"
	"strconv"

	"github.com/turnstile-go/turnstile/lockclient"
)

// warnOfParent warns if the turnstile that we run under holds the key, and we can't hold it
// beside that: each then waits for the other to end, unless we run in its background. TURNSTILE_KEY alone
// proves nothing: the variables may be inherited from a hold that is over, of
// another prefix or on another backend. The fence decides it.
func (p *plan) warnOfParent(ctx context.Context, client *lockclient.Client) {
	fence, err := strconv.ParseUint(os.Getenv("TURNSTILE_FENCE"), 10, 64)
	key := os.Getenv("TURNSTILE_KEY")
	if err != nil || !slices.Contains(p.keys(), key) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(askFor, p.timeout))
	defer cancel()
	if i, err := client.Inspect(ctx, key); err == nil && i.Current(fence) && p.waitsFor(i) {
		p.log.Warn("the turnstile run that started this one holds the key, until its own command ends", "key", key, "fence", fence)
	}
}
