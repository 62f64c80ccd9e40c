package lockclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/turnstile-go/turnstile/backends/embedded"
	"github.com/turnstile-go/turnstile/lockclient"
)

func ExampleOpen() {
	// Another backend needs an import: _ "github.com/turnstile-go/turnstile/backends/redis"
	client, err := lockclient.Open(lockclient.Config{
		Backend:   "embedded://orders", // or "redis://localhost:6379/0", …
		KeyPrefix: "orders:",
		Renew:     true,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Close())

	_, err = lockclient.Open(lockclient.Config{Backend: "localhost:6379"})
	fmt.Println(errors.Is(err, lockclient.ErrInvalid))
	// Output:
	// <nil>
	// true
}

func ExampleNew() {
	backend := embedded.Open("orders") // or one of your own, which backends/backendtest tests
	client, err := lockclient.New(backend, lockclient.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Close()) // closes the backend, too
	// Output: <nil>
}

func ExampleClient_Close() {
	client := open()
	lock := acquire(client, "closing")
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}

	fmt.Println("the hold has ended:", errors.Is(context.Cause(lock.Context()), lockclient.ErrClosed))
	_, err := client.Acquire(context.Background(), "closing")
	fmt.Println("no new one:", errors.Is(err, lockclient.ErrClosed))
	// Output:
	// the hold has ended: true
	// no new one: true
}

func ExampleClient_Locker() {
	client := open()
	defer client.Close()

	mu := client.Locker("counter") // a sync.Locker
	count := 0
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			mu.Lock() // panics where Acquire would return an error
			defer mu.Unlock()
			count++
		})
	}
	wg.Wait()
	fmt.Println(count)
	// Output: 10
}

func ExampleClient_Inspect() {
	client := open()
	defer client.Close()
	lock := acquire(client, "inspected")
	defer lock.Release()

	info, err := client.Inspect(context.Background(), "inspected")
	if err != nil {
		log.Fatal(err)
	}
	if info.Held && info.Holder != nil {
		fmt.Printf("%s is held by %s, %d callers wait here\n", info.Key, *info.Holder, info.Local)
	}
	// Output: inspected is held by example, 0 callers wait here
}

func ExampleClient_Keys() {
	client := open()
	defer client.Close()
	lock := acquire(client, "in_use_here")
	defer lock.Release()

	for info := range client.Keys() {
		fmt.Println(info.Key, info.Held)
	}
	// Output: in_use_here true
}

func ExampleClient_List() {
	client, err := lockclient.Open(lockclient.Config{KeyPrefix: "invoices:"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, key := range []string{"2024", "2023"} {
		lock := acquire(client, key)
		defer lock.Release()
	}

	keys, err := client.List(context.Background()) // of everybody with this prefix
	if err != nil {
		log.Fatal(err)
	}
	for _, info := range keys {
		fmt.Println(info.Key)
	}
	// Output:
	// 2023
	// 2024
}

func ExampleClient_Revoke() {
	client := open()
	defer client.Close()
	ctx := context.Background()
	lock := acquire(client, "revoked")

	found, err := client.Revoke(ctx, "revoked", lockclient.Revocation{Fence: lock.Fence()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found == lockclient.Marked)

	<-lock.Context().Done() // the holder is told, and the key is free once it has released
	fmt.Println(errors.Is(lock.Release(), lockclient.ErrRevoked))
	// Output:
	// true
	// true
}

func ExampleClient_Stats() {
	client := open()
	defer client.Close()
	for range 3 {
		if err := acquire(client, "counted").Release(); err != nil {
			log.Fatal(err)
		}
	}

	stats := client.Stats()
	fmt.Println("holds:", stats.Holds, "timeouts:", stats.Timeouts, "waiters:", stats.Waiters)
	// Output: holds: 3 timeouts: 0 waiters: 0
}

func ExampleClient_AcquireAll() {
	client := open()
	defer client.Close()

	locks, err := client.AcquireAll(context.Background(), []string{"from", "to"})
	if err != nil {
		log.Fatal(err)
	}
	defer locks.Release()

	_, err = client.TryAcquire(context.Background(), "to")
	fmt.Println("both are held:", errors.Is(err, lockclient.ErrHeld))
	// Output: both are held: true
}

func ExampleClient_Lead() {
	client := open()
	defer client.Close()

	ctx, stop := context.WithCancel(context.Background())
	err := client.Lead(ctx, "leader", func(ctx context.Context, fence uint64) error {
		fmt.Println("leading:", fence > 0)
		stop()       // in a program: when it ends
		<-ctx.Done() // work until then, or until another leads
		return nil
	})
	fmt.Println(err)
	// Output:
	// leading: true
	// <nil>
}
