package redis

import (
	"crypto/tls"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestURLsOfSentinelsAndClusters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		raw            string
		form           form
		hosts          []string
		user, password string
		db             int
	}{
		{"redis+sentinel://a,b:1/3?master_name=m&addr=[::1]:2", sentinel, []string{"a:26379", "b:1", "[::1]:2"}, "", "", 3},
		{"redis+sentinel://u:p%40%25%2F@a:1?master_name=m&addr=b:2&addr=[::2]:3&db=4", sentinel, []string{"a:1", "b:2", "[::2]:3"}, "u", "p@%/", 4},
		{"rediss+sentinel://:p@a:1/0?master_name=m&addr=a:1", sentinel, []string{"a:1"}, "", "p", 0},
		{"redis+cluster://a,b:1/", cluster, []string{"a:6379", "b:1"}, "", "", 0},
		{"redis+cluster://u:p%40%25%2F@a:1/0?addr=b:2&db=0", cluster, []string{"a:1", "b:2"}, "u", "p@%/", 0},
		{"rediss+cluster://u@a:1?addr=b:2", cluster, []string{"a:1", "b:2"}, "u", "", 0},
		{"redis://u:p%40%25%2F@a:1/5", single, []string{"a:1"}, "u", "p@%/", 5},
		{"redis://a?db=5", single, []string{"a:6379"}, "", "", 5},
		{"rediss://[::1]/5?db=5", single, []string{"[::1]:6379"}, "", "", 5},
	} {
		got, err := parse(mustParse(t, row.raw), nil)
		if err != nil {
			t.Errorf("%s: %v", row.raw, err)
			continue
		}
		var hosts []string
		var user, password string
		var db int
		var security *tls.Config
		switch row.form {
		case sentinel:
			o := got.sentinel
			hosts, user, password, db, security = o.SentinelAddrs, o.Username, o.Password, o.DB, o.TLSConfig
			if o.MasterName != "m" || o.SentinelUsername != "" || o.SentinelPassword != "" {
				t.Errorf("%s: the Sentinels get %q, and the login %q", row.raw, o.MasterName, o.SentinelUsername)
			}
		case cluster:
			o := got.cluster
			hosts, user, password, security = o.Addrs, o.Username, o.Password, o.TLSConfig
		default:
			o := got.single
			hosts, user, password, db, security = []string{o.Addr}, o.Username, o.Password, o.DB, o.TLSConfig
		}
		if got.form != row.form || !slices.Equal(hosts, row.hosts) || user != row.user || password != row.password || db != row.db {
			t.Errorf("%s: form %d, %v, login %q %q, database %d", row.raw, got.form, hosts, user, password, db)
		}
		if (security != nil) != strings.HasPrefix(row.raw, "rediss") {
			t.Errorf("%s: TLS %v", row.raw, security != nil)
		}
	}
}

func TestSentinelsHaveALoginOfTheirOwn(t *testing.T) {
	t.Parallel()
	got, err := parse(mustParse(t, "redis+sentinel://data:d@a?master_name=m&sentinel_username=watch&sentinel_password=w%26%40"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if o := got.sentinel; o.SentinelUsername != "watch" || o.SentinelPassword != "w&@" || o.Username != "data" || o.Password != "d" {
		t.Errorf("%+v", o)
	}
}

// The driver sends nothing twice, and reads nothing from replicas, whatever its
// client is.
func TestEveryFormIsTuned(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"redis://a", "redis+sentinel://a?master_name=m", "redis+cluster://a"} {
		got, err := parse(mustParse(t, raw), nil)
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		switch got.form {
		case single:
			ok = got.single.MaxRetries == -1 && got.single.ContextTimeoutEnabled && got.single.ReadTimeout == ioTimeout
		case sentinel:
			ok = got.sentinel.MaxRetries == -1 && got.sentinel.ContextTimeoutEnabled && got.sentinel.ReadTimeout == ioTimeout
		case cluster:
			ok = got.cluster.MaxRetries == -1 && got.cluster.ContextTimeoutEnabled && got.cluster.ReadTimeout == ioTimeout && !got.cluster.ReadOnly
		}
		if !ok {
			t.Errorf("%s is not tuned", raw)
		}
	}
}

func TestWhatAURLMustNotSay(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ raw, says string }{
		{"redis+sentinel://a?master_name=m&dial_timeout=2001ms", "no more than 2s"},
		{"redis+sentinel://a?master_name=m&dial_timeout=-1", "no more than 2s"},
		{"redis+sentinel://a?master_name=m&read_timeout=30s", "no more than 2s"},
		{"redis+sentinel://a?master_name=m&write_timeout=-1", "no more than 2s"},
		{"redis+sentinel://a?master_name=m&context_timeout_enabled=false", "as it is"},
		{"redis+cluster://a?dialer_retries=5", "as it is"},
		{"redis://a?dialer_retries=5", "as it is"},
		{"redis+cluster://a?route_by_latency_tolerance=1ms", "replica"},
		// A number that would be ignored.
		{"redis+cluster://a/1", "number 0"},
		{"redis+cluster://a/10", "number 0"},
		{"redis+cluster://a?db=1", "number 0"},
		{"redis://a/1?db=2", "two database numbers"},
		{"redis+sentinel://a/1?db=2&master_name=m", "two database numbers"},
		{"redis+sentinel://a?db=-1&master_name=m", "negative"},
		// Reads from replicas, and repeats.
		{"redis+cluster://a?read_only=true", "replica"},
		{"redis+cluster://a?route_by_latency=true", "replica"},
		{"redis+sentinel://a?master_name=m&route_randomly=true", "replica"},
		{"redis+sentinel://a?master_name=m&replica_only=true", "replica"},
		{"redis+cluster://a?max_retries=3", "repeat"},
		// Hosts.
		{"redis://a,b", "more than one host"},
		{"redis://a?addr=b:1", "more than one host"},
		{"redis://a:99999", "1 to 65535"},
		{"rediss://u:hunter2@a:0/1", "1 to 65535"},
		{"redis://[::1]:65536", "1 to 65535"},
		{"redis+cluster://a,,b", "host:port"},
		{"redis+cluster://", "host:port"},
		{"redis+cluster://a?addr=:1", "host:port"},
		{"redis+cluster://a?addr=b:x", "host:port"},
		{"redis+cluster://a?addr=b:70000", "host:port"},
		// Sentinels.
		{"redis+sentinel://a", "master_name"},
		{"redis+sentinel://a?master_name=m&password=hunter2", "before the host"},
		{"redis+sentinel://a?master_name=m&sentinel_password=x&hunter2", "%26"},
		{"redis+sentinel://a?master_name=m&sentinel_password=x@hunter2", "%40"},
		{"redis+sentinel://u:hunter2@a?master_name=m&frobnicate=1", "frobnicate"},
		{"redis+cluster://u:hunter2@a?master_name=m", "master_name"},
		// TLS where there is none, or with half of what it takes.
		{"redis://a?tls_ca=/x", "rediss://"},
		{"redis+cluster://a?skip_verify=true", "rediss"},
		{"unix:///s?tls_server_name=x", "rediss"},
		{"rediss://a?tls_cert=/x", "go together"},
		{"rediss://a?tls_ca=/does/not/exist", "tls_ca"},
		{"rediss://a?tls_ca=/dev/null", "no certificate"},
		{"rediss://a?tls_cert=/dev/null&tls_key=/dev/null", "tls_key"},
		{"rediss://a?skip_verify=perhaps", "skip_verify"},
	} {
		_, err := parse(mustParse(t, row.raw), nil)
		if !errors.Is(err, backends.ErrInvalid) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want ErrInvalid that says %q", row.raw, err, row.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", row.raw, err)
		}
	}
}

func TestTLSOfTheProgramsOwn(t *testing.T) {
	t.Parallel()
	given := &tls.Config{MinVersion: tls.VersionTLS13}
	got, err := parse(mustParse(t, "rediss://example.test"), given)
	if err != nil {
		t.Fatal(err)
	}
	if c := got.single.TLSConfig; c.MinVersion != tls.VersionTLS13 || c.ServerName != "example.test" || given.ServerName != "" {
		t.Errorf("TLS %x for %q; the program's own names %q", c.MinVersion, c.ServerName, given.ServerName)
	}
	for _, raw := range []string{"redis://a", "rediss://a?tls_server_name=b"} {
		if _, err := parse(mustParse(t, raw), given); !errors.Is(err, backends.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", raw, err)
		}
	}
	several, err := parse(mustParse(t, "rediss+cluster://a,b"), nil)
	if err != nil || several.cluster.TLSConfig.ServerName != "" {
		t.Errorf("%v: of several nodes, each has to prove its own name", err)
	}
}

// TestEachFormHasConnectionsForALifetime: it is what bounds a client's stay with a server
// that was replaced behind its name.
func TestEachFormHasConnectionsForALifetime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		query string
		want  time.Duration
	}{{"conn_max_lifetime=1m", time.Minute}, {"", 0}} {
		for _, form := range []string{"redis://a?", "rediss://a?", "unix:///a?", "redis+sentinel://a?master_name=m&", "redis+cluster://a?"} {
			got, err := parse(mustParse(t, form+row.query), nil)
			if err != nil {
				t.Errorf("%s%s: %v", form, row.query, err)
				continue
			}
			var life time.Duration
			switch {
			case got.single != nil:
				life = got.single.ConnMaxLifetime
			case got.sentinel != nil:
				life = got.sentinel.ConnMaxLifetime
			case got.cluster != nil:
				life = got.cluster.ConnMaxLifetime
			}
			if life != row.want {
				t.Errorf("%s%s: connections live for %v, want %v", form, row.query, life, row.want)
			}
		}
	}
}
