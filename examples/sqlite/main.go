// Command sqlite keeps a balance in SQLite, under a lock and with its fence. A holder
// that was paused past its lease writes late: the database rejects the write, since a
// newer holder has written.
//
//	go run ./sqlite
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	_ "modernc.org/sqlite"

	"github.com/turnstile-go/turnstile/lockclient"
)

func main() {
	db, err := sql.Open("sqlite", "file:accounts?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	client, err := lockclient.Open(lockclient.Config{Backend: "embedded://"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	if err := create(ctx, db); err != nil {
		log.Fatal(err)
	}
	lock, err := client.Acquire(ctx, "account:7", lockclient.Renew())
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Release()
	fmt.Println(write(ctx, db, 7, 100, lock.Fence()))
}

// create makes the table: each row remembers the highest fence that wrote it.
func create(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `
		CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, fence INTEGER NOT NULL);
		INSERT INTO accounts VALUES (7, 0, 0)`)
	return err
}

var errStale = errors.New("a newer holder has written: this hold is over")

// write sets a balance, unless a hold with a higher fence wrote before. The comparison
// and the write are one statement, so that nothing comes between them.
//
// A fence fits SQLite's signed 64 bits until the year 2255.
func write(ctx context.Context, db *sql.DB, id, balance int64, fence uint64) error {
	result, err := db.ExecContext(ctx,
		`UPDATE accounts SET balance = ?, fence = ? WHERE id = ? AND fence <= ?`,
		balance, int64(fence), id, int64(fence))
	if err != nil {
		return err
	}
	switch changed, err := result.RowsAffected(); {
	case err != nil:
		return err
	case changed == 0:
		return errStale
	}
	return nil
}
