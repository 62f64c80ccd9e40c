package servertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// statsMost bounds a look at a server's counters.
const statsMost = 30 * time.Second

// Calls is how often a Redis server ran a command, inside of scripts as well.
func Calls(t testing.TB, client *goredis.Client, command string) (n int) {
	t.Helper()
	// A command that never ran has no line.
	if _, rest, _ := strings.Cut(info(t, client, "commandstats"), "cmdstat_"+command+":calls="); rest != "" {
		scan(t, rest, &n)
	}
	return n
}

// Connections is how many connections a Redis server has taken.
func Connections(t testing.TB, client *goredis.Client) (n int) {
	t.Helper()
	_, rest, _ := strings.Cut(info(t, client, "stats"), "total_connections_received:")
	scan(t, rest, &n)
	return n
}

func info(t testing.TB, client *goredis.Client, section string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statsMost)
	defer cancel()
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func scan(t testing.TB, text string, n *int) {
	t.Helper()
	if _, err := fmt.Sscan(text, n); err != nil {
		t.Fatal(err)
	}
}
