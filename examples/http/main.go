// Command http is a small service that changes one account at a time: requests for
// one user run one after the other, and those for different users side by side.
//
//	go run ./http
//	curl -X POST 'localhost:8080/transfer?user=7'
//
// A request that gets no lock in time is answered 409 if somebody else has it, and 503
// if the place where locks live does not answer. The body says why.
package main

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

func main() {
	// embedded:// locks within this process. For several, name a server, and import its
	// backend: _ "github.com/turnstile-go/turnstile/backends/redis".
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler(client, transfer), ReadHeaderTimeout: 5 * time.Second}
	log.Print(server.ListenAndServe())
}

// patience is how long a request waits for its user's lock.
const patience = 2 * time.Second

// handler runs work under the user's lock.
func handler(client *lockclient.Client, work func(ctx context.Context, user string) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /transfer", func(w http.ResponseWriter, r *http.Request) {
		user := r.URL.Query().Get("user")
		if user == "" {
			http.Error(w, "name a user", http.StatusBadRequest)
			return
		}
		// The request's context leaves the queue when the client hangs up. Do renews the
		// hold while work runs, and ends work's ctx if the hold is lost.
		err := client.Do(r.Context(), "user:"+user, func(ctx context.Context) error {
			return work(ctx, user)
		}, lockclient.Timeout(patience))
		if err != nil {
			refuse(w, err)
			return
		}
		fmt.Fprintln(w, "done")
	})
	return mux
}

// refuse answers with the status that fits, and with why as JSON: who holds the lock,
// since when, and our place in the queue.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, lockclient.ErrHeld), errors.Is(err, lockclient.ErrOverloaded):
		status = http.StatusConflict
	case errors.Is(err, lockclient.ErrUnavailable):
		status = http.StatusServiceUnavailable
	}
	var why *lockclient.WaitError
	if !errors.As(err, &why) {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(why); err != nil {
		log.Print(err) // the client has gone
	}
}

// transfer stands for the service's own work.
func transfer(ctx context.Context, user string) error {
	return ctx.Err()
}
