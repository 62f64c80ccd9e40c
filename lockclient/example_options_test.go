package lockclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func ExampleExpires() {
	client := open()
	defer client.Close()
	acquire(client, "forgotten", lockclient.Expires(20*time.Millisecond)) // and never released

	lock, err := client.Acquire(context.Background(), "forgotten")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the next holder:", lock.Release() == nil)
	// Output: the next holder: true
}

func ExampleTimeout() {
	client := open()
	defer client.Close()
	lock := acquire(client, "busy")
	defer lock.Release()

	_, err := client.Acquire(context.Background(), "busy", lockclient.Timeout(10*time.Millisecond))
	fmt.Println(errors.Is(err, lockclient.ErrTimeout))
	// Output: true
}

func ExampleRenew() {
	client := open()
	defer client.Close()

	// Held until Release; if this process dies, for at most 10 s more.
	lock := acquire(client, "kept", lockclient.Expires(10*time.Second), lockclient.Renew())
	fmt.Println(lock.Release())
	// Output: <nil>
}

func ExampleNoRenew() {
	client := open()
	defer client.Close()

	err := client.Do(context.Background(), "not_kept", func(ctx context.Context) error {
		<-ctx.Done() // the hold ends under the function
		return context.Cause(ctx)
	}, lockclient.Expires(20*time.Millisecond), lockclient.NoRenew())
	fmt.Println(errors.Is(err, lockclient.ErrExpired))
	// Output: true
}

func ExampleMaxHold() {
	client := open()
	defer client.Close()

	// Renewed, but not for ever: a function that hangs frees the key in the end.
	err := client.Do(context.Background(), "bounded", func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}, lockclient.MaxHold(20*time.Millisecond))
	fmt.Println(errors.Is(err, lockclient.ErrExpired))
	// Output: true
}

func ExampleOwner() {
	client := open()
	defer client.Close()
	lock := acquire(client, "labelled", lockclient.Owner("nightly report"))
	defer lock.Release()

	_, err := client.TryAcquire(context.Background(), "labelled")
	var why *lockclient.WaitError
	if errors.As(err, &why) {
		fmt.Println("held by", why.Holder)
	}
	// Output: held by nightly report
}

func ExampleWaitError() {
	client := open()
	defer client.Close()
	lock := acquire(client, "answered")
	defer lock.Release()

	_, err := client.Acquire(context.Background(), "answered", lockclient.Timeout(0))
	var why *lockclient.WaitError
	switch {
	case errors.Is(err, lockclient.ErrHeld) && errors.As(err, &why):
		fmt.Println(http.StatusConflict, "held by", why.Holder)
	case errors.Is(err, lockclient.ErrUnavailable):
		fmt.Println(http.StatusServiceUnavailable)
	case err != nil:
		fmt.Println(http.StatusInternalServerError)
	}
	// Output: 409 held by example
}

func ExampleInfo_Current() {
	client := open()
	defer client.Close()
	ctx := context.Background()
	lock := acquire(client, "current")

	info, err := client.Inspect(ctx, "current")
	fmt.Println(info.Current(lock.Fence()), err)

	if err := lock.Release(); err != nil {
		log.Fatal(err)
	}
	info, err = client.Inspect(ctx, "current")
	fmt.Println(info.Current(lock.Fence()), err)
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleInfo_MarshalJSON() {
	holder, fence, since := "vm-3:812", uint64(1<<61), 90*time.Second
	text, err := json.Marshal(lockclient.Info{Key: "a_key", Held: true, Holder: &holder, Fence: &fence, HeldFor: &since})
	fmt.Println(string(text), err)
	// Output: {"key":"a_key","held":true,"holder":"vm-3:812","fence":"2305843009213693952","held_for_seconds":90,"kind":"exclusive"} <nil>
}

func ExampleWaiter_MarshalJSON() {
	label, since := "vm-4:77", 1500*time.Millisecond
	text, err := json.Marshal(lockclient.Waiter{Label: &label, For: &since})
	fmt.Println(string(text), err)
	// Output: {"label":"vm-4:77","waiting_for_seconds":1.5,"kind":"exclusive"} <nil>
}

func ExampleHolder_MarshalJSON() {
	label, since := "vm-4:77", 1500*time.Millisecond
	text, err := json.Marshal(lockclient.Holder{Label: &label, Fence: 1 << 61, HeldFor: &since, Slots: 2})
	fmt.Println(string(text), err)
	// Output: {"label":"vm-4:77","fence":"2305843009213693952","held_for_seconds":1.5,"slots":2} <nil>
}

func ExampleAtLeast() {
	client := open()
	defer client.Close()

	// Each machine's cron starts this at about the same time. It runs once.
	for range 2 {
		lock, err := client.TryAcquire(context.Background(), "nightly", lockclient.AtLeast(time.Minute))
		if errors.Is(err, lockclient.ErrHeld) {
			fmt.Println("ran already")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("runs")
		if err := lock.Release(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// runs
	// ran already
}
