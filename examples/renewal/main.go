// Command renewal does long work under one lock, in steps. The hold is renewed while
// the work goes on, so that a crash frees the key soon though the work is long. When the
// hold is lost, the work stops before its next step.
//
//	go run ./renewal
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func main() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	n, err := work(context.Background(), client, "reindex", 10, func(context.Context, int) error {
		time.Sleep(100 * time.Millisecond) // stands for a step's work
		return nil
	})
	fmt.Printf("%d steps done: %v\n", n, err)
}

// work does the steps from 0 on, and returns how many were done. Expires is short: that
// is how long others wait after a crash. Renewal makes it no limit for the work.
func work(ctx context.Context, client *lockclient.Client, key string, steps int, step func(ctx context.Context, n int) error) (done int, err error) {
	lock, err := client.Acquire(ctx, key, lockclient.Expires(5*time.Second), lockclient.Renew())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, released(lock.Release())) }()
	// The hold's context ends with the hold. It does not end with ctx, so both are looked at.
	held, cancel := context.WithCancel(lock.Context())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	for n := range steps {
		if held.Err() != nil {
			return done, fmt.Errorf("stopped before step %d: %w", n, errors.Join(context.Cause(lock.Context()), ctx.Err()))
		}
		if err := step(held, n); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// released leaves out what is no news: that a hold which was lost is not held.
func released(err error) error {
	if errors.Is(err, lockclient.ErrNotHeld) {
		return nil
	}
	return err
}
