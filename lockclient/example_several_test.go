package lockclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// acquireAll acquires keys that are free, for the examples of their methods.
func acquireAll(client *lockclient.Client, keys []string, opts ...lockclient.Option) *lockclient.Locks {
	locks, err := client.AcquireAll(context.Background(), keys, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return locks
}

func ExampleLocks_Context() {
	client := open()
	defer client.Close()
	locks := acquireAll(client, []string{"both", "of"}, lockclient.Expires(20*time.Millisecond))

	<-locks.Context().Done() // work that takes this context stops with the first that is lost
	fmt.Println(errors.Is(context.Cause(locks.Context()), lockclient.ErrExpired))
	// Output: true
}

func ExampleLocks_Deadline() {
	client := open()
	defer client.Close()
	locks := acquireAll(client, []string{"both", "of"}, lockclient.Expires(time.Hour))
	defer locks.Release()

	fmt.Println(time.Until(locks.Deadline()).Round(time.Hour))
	// Output: 1h0m0s
}

func ExampleLocks_Fence() {
	client := open()
	defer client.Close()
	locks := acquireAll(client, []string{"both", "of"})
	defer locks.Release()

	// Each key has a fence of its own: send the one of the key that is written to.
	fmt.Println(locks.Fence("both") > 0, locks.Fence("another"))
	// Output: true 0
}

func ExampleLocks_Release() {
	client := open()
	defer client.Close()
	locks := acquireAll(client, []string{"both", "of"})

	fmt.Println(locks.Release())
	fmt.Println(errors.Is(locks.Release(), lockclient.ErrNotHeld))
	// Output:
	// <nil>
	// true
}
