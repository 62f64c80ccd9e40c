package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// A holder outsleeps its lease; the next one writes; then the first one wakes up.
func TestALateWriteIsRejected(t *testing.T) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := create(ctx, db); err != nil {
		t.Fatal(err)
	}
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://" + t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	late, err := client.Acquire(ctx, "account:7", lockclient.Expires(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if err := write(ctx, db, 7, 100, late.Fence()); err != nil {
		t.Fatalf("the holder's own write: %v", err)
	}
	next, err := client.Acquire(ctx, "account:7", lockclient.Renew()) // once the first has expired
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if err := write(ctx, db, 7, 200, next.Fence()); err != nil {
		t.Fatalf("the next holder's write: %v", err)
	}

	if err := write(ctx, db, 7, 101, late.Fence()); !errors.Is(err, errStale) {
		t.Errorf("the late write: %v, want a rejection", err)
	}
	var balance int64
	if err := db.QueryRowContext(ctx, `SELECT balance FROM accounts WHERE id = 7`).Scan(&balance); err != nil || balance != 200 {
		t.Errorf("balance %d, %v; want the newer holder's 200", balance, err)
	}
}
