// Package lockclient locks by key.
//
//	client, err := lockclient.Open(lockclient.Config{Backend: "redis://localhost:6379/0"})
//	if err != nil { … }
//	defer client.Close()
//
//	lock, err := client.Acquire(ctx, "a_key", lockclient.Expires(60*time.Second), lockclient.Timeout(10*time.Second))
//	if errors.Is(err, lockclient.ErrTimeout) { … }
//	defer lock.Release()
//
// A hold lasts until it is released, until it expires, or until its lease is
// lost; [Lock.Context] ends with it. Whoever writes to a resource that can
// remember a number should send [Lock.Fence] along: a process that was stopped
// past its deadline can't know that its hold is gone, but a resource that refuses
// fences below the highest it saw is safe from it.
//
// Inside a process, the waiters of a key queue in the order of their arrival and
// hand the hold on without a call to the backend. A lock is not reentrant: an acquire
// of a key under a ctx that comes from a hold of that key fails with [ErrDeadlock]. One
// under another ctx waits like any other.
package lockclient
