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
	client, err := lockclient.Open(lockclient.Config{Owner: "example"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	lock, err := client.TryAcquire(context.Background(), "a_key")
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release()

	_, err = client.TryAcquire(context.Background(), "a_key")
	var why *lockclient.WaitError
	fmt.Println(errors.As(err, &why), why.Holder)
	// Output: true example
}
