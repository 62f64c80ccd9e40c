package lockclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func ExampleLock_Key() {
	client := open()
	defer client.Close()
	lock := acquire(client, "a_name")
	defer lock.Release()

	fmt.Println(lock.Key())
	// Output: a_name
}

func ExampleLock_Fence() {
	client := open()
	defer client.Close()

	first := acquire(client, "fenced")
	if err := first.Release(); err != nil {
		log.Fatal(err)
	}
	second := acquire(client, "fenced")
	defer second.Release()

	// Send the fence with each write. The resource rejects those below the highest it saw.
	fmt.Println(second.Fence() > first.Fence())
	// Output: true
}

func ExampleLock_Deadline() {
	client := open()
	defer client.Close()
	lock := acquire(client, "until", lockclient.Expires(time.Hour))
	defer lock.Release()

	left := time.Until(lock.Deadline()) // don't begin what takes longer
	fmt.Println(left.Round(time.Hour))
	// Output: 1h0m0s
}

func ExampleLock_Context() {
	client := open()
	defer client.Close()
	lock := acquire(client, "short", lockclient.Expires(20*time.Millisecond))

	<-lock.Context().Done() // work that takes this context stops here
	fmt.Println(errors.Is(context.Cause(lock.Context()), lockclient.ErrExpired))
	// Output: true
}

func ExampleLock_Extend() {
	client := open()
	defer client.Close()
	lock := acquire(client, "longer", lockclient.Expires(time.Minute))
	defer lock.Release()

	before := lock.Deadline()
	if err := lock.Extend(time.Hour); err != nil { // an hour from now
		log.Fatal(err)
	}
	fmt.Println(lock.Deadline().Sub(before) > 50*time.Minute)
	// Output: true
}

func ExampleLock_Check() {
	client := open()
	defer client.Close()
	lock := acquire(client, "checked")

	fmt.Println(lock.Check(context.Background()))
	_ = lock.Release()
	fmt.Println(lock.Check(context.Background()))
	// Output:
	// <nil>
	// turnstile: not held
}

func ExampleLock_Wanted() {
	client := open()
	defer client.Close()
	items := make(chan int) // work that comes now and then

	lock := acquire(client, "one_at_a_time")
	next := make(chan *lockclient.Lock)
	go func() { next <- acquire(client, "one_at_a_time") }()

	for letGo := false; !letGo; {
		select {
		case <-items: // keep the key from item to item
		case <-lock.Wanted(): // until somebody else waits for it
			letGo = true
		}
	}
	fmt.Println(lock.Release())
	fmt.Println((<-next).Release())
	// Output:
	// <nil>
	// <nil>
}

func ExampleLock_Release() {
	client := open()
	defer client.Close()
	lock := acquire(client, "given_back")

	fmt.Println(lock.Release())
	fmt.Println(errors.Is(lock.Release(), lockclient.ErrNotHeld)) // it had ended before
	// Output:
	// <nil>
	// true
}

func ExampleLock_Context_nested() {
	client := open()
	defer client.Close()
	lock := acquire(client, "nested")
	defer lock.Release()

	// What is called under the lock, with its context, asks for the lock again.
	_, err := client.Acquire(lock.Context(), "nested")
	fmt.Println(errors.Is(err, lockclient.ErrDeadlock))
	// Output: true
}
