package lockclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/turnstile-go/turnstile/lockclient"
)

func ExampleShared() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://ExampleShared"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	one, err := client.Acquire(ctx, "catalog", lockclient.Shared())
	if err != nil {
		log.Fatal(err)
	}
	two, err := client.Acquire(ctx, "catalog", lockclient.Shared())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("two read")
	_, err = client.TryAcquire(ctx, "catalog")
	fmt.Println("a writer has to wait:", errors.Is(err, lockclient.ErrHeld))
	fmt.Println(one.Release(), two.Release())
	// Output:
	// two read
	// a writer has to wait: true
	// <nil> <nil>
}

func ExampleSlots() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://ExampleSlots"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	for range 2 {
		lock, err := client.Acquire(ctx, "reindex", lockclient.Slots(2))
		if err != nil {
			log.Fatal(err)
		}
		defer lock.Release()
	}
	_, err = client.TryAcquire(ctx, "reindex", lockclient.Slots(2))
	fmt.Println("a third has to wait:", errors.Is(err, lockclient.ErrHeld))
	third, err := client.TryAcquire(ctx, "reindex", lockclient.Slots(3)) // the new limit
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(third.Release())
	// Output:
	// a third has to wait: true
	// <nil>
}

func ExampleLock_Downgrade() {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://ExampleLock_Downgrade"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	lock, err := client.Acquire(ctx, "schema")
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release()
	fmt.Println("migrating, alone")
	if err := lock.Downgrade(); err != nil {
		log.Fatal(err)
	}
	reader, err := client.TryAcquire(ctx, "schema", lockclient.Shared())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("others read it beside us")
	fmt.Println(reader.Release())
	// Output:
	// migrating, alone
	// others read it beside us
	// <nil>
}
