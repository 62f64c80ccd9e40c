package lockclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func ExampleClient_Acquire() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	lock, err := client.Acquire(context.Background(), "a_key",
		lockclient.Expires(60*time.Second), lockclient.Timeout(10*time.Second))
	if errors.Is(err, lockclient.ErrTimeout) {
		log.Fatalf("not acquired: %v", err) // says who has it, since when, and our place in the queue; or that the backend never answered
	}
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release()
	fmt.Println("holding", lock.Key())
	// Output: holding a_key
}

func ExampleClient_Do() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	err = client.Do(context.Background(), "a_key", func(ctx context.Context) error {
		fmt.Println("alone under a_key")
		return nil
	}, lockclient.Timeout(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	// Output: alone under a_key
}

func ExampleClient_TryAcquire() {
	client := open()
	defer client.Close()
	ctx := context.Background()

	lock, err := client.TryAcquire(ctx, "one_try")
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release()

	_, err = client.TryAcquire(ctx, "one_try")
	fmt.Println("somebody has it:", errors.Is(err, lockclient.ErrHeld))
	// Output: somebody has it: true
}

// open opens a client for an example that is about something else: it locks within
// this process, and others see it as "example".
func open() *lockclient.Client {
	client, err := lockclient.Open(lockclient.Config{Owner: "example"})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// acquire acquires a key that is free, for the same examples.
func acquire(client *lockclient.Client, key string, opts ...lockclient.Option) *lockclient.Lock {
	lock, err := client.Acquire(context.Background(), key, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return lock
}
