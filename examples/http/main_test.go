package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

func post(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// The second request of one user gets 409 with the reason, and one of another user its lock.
func TestOneUserAtATime(t *testing.T) {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://" + t.Name(), Owner: "shop-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	begun, end := make(chan string, 2), make(chan struct{})
	server := httptest.NewServer(handler(client, func(_ context.Context, user string) error {
		begun <- user
		<-end
		return nil
	}))
	defer server.Close()

	statuses := make(chan int, 2)
	for _, user := range []string{"7", "8"} {
		go func() { // ends with its request
			r, err := http.Post(server.URL+"/transfer?user="+user, "", nil)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			_ = r.Body.Close()
			statuses <- r.StatusCode
		}()
	}
	<-begun
	<-begun // both are inside: they don't wait for each other

	r := post(t, server.URL+"/transfer?user=7") //nolint:bodyclose // post closes it when the test ends
	var why map[string]any
	if err := json.NewDecoder(r.Body).Decode(&why); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusConflict || why["key"] != "user:7" || why["holder"] != "shop-1" {
		t.Errorf("%s, %v", r.Status, why)
	}
	close(end)
	for range 2 {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
}

// The store of locks is away: that is no conflict.
func TestNoBackendIs503(t *testing.T) {
	recorder := httptest.NewRecorder()
	refuse(recorder, &lockclient.WaitError{Key: "user:7", Waited: patience, Silent: true})
	if recorder.Code != http.StatusServiceUnavailable || !strings.Contains(recorder.Body.String(), `"key":"user:7"`) {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}

func TestAClientThatHangsUpLeavesTheQueue(t *testing.T) {
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://" + t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	held, err := client.Acquire(context.Background(), "user:7", lockclient.Renew())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	server := httptest.NewServer(handler(client, transfer))
	defer server.Close()
	ctx, hangUp := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/transfer?user=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { // ends when it hangs up
		defer close(gone)
		if r, err := http.DefaultClient.Do(request); err == nil {
			_ = r.Body.Close()
		}
	}()
	await(t, "it waits", func() bool { return client.Stats().Waiters == 1 })
	hangUp()
	<-gone
	await(t, "it has left", func() bool { return client.Stats().Waiters == 0 })
}

// await polls for what has no event; only a defect takes that long.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
