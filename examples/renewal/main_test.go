package main

import (
	"context"
	"errors"
	"testing"

	"github.com/turnstile-go/turnstile/lockclient"
)

func open(t *testing.T) *lockclient.Client {
	t.Helper()
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://" + t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestAllStepsAreDone(t *testing.T) {
	client := open(t)
	n, err := work(context.Background(), client, "k", 3, func(context.Context, int) error { return nil })
	if n != 3 || err != nil {
		t.Errorf("%d steps, %v", n, err)
	}
	if lock, err := client.TryAcquire(context.Background(), "k"); err != nil {
		t.Errorf("the key is not free afterwards: %v", err)
	} else if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// Somebody revokes the hold in the second step: there is no third.
func TestALostHoldEndsTheWork(t *testing.T) {
	client := open(t)
	n, err := work(context.Background(), client, "k", 10, func(ctx context.Context, n int) error {
		if n == 1 {
			if _, err := client.Revoke(context.Background(), "k", lockclient.Revocation{}); err != nil {
				return err
			}
			<-ctx.Done() // the step is told
		}
		return nil
	})
	if n != 2 || !errors.Is(err, lockclient.ErrLost) {
		t.Errorf("%d steps, %v; want 2 and ErrLost", n, err)
	}
}

func TestACancelledCallerEndsTheWork(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	n, err := work(ctx, open(t), "k", 10, func(ctx context.Context, n int) error {
		cancel()
		<-ctx.Done()
		return nil
	})
	if n != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d steps, %v; want 1 and Canceled", n, err)
	}
}
