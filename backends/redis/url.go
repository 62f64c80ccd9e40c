package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// A form is how servers stand together.
type form uint8

const (
	single form = iota
	sentinel
	cluster
)

// forms are the schemes of a URL.
var forms = map[string]struct {
	form form
	tls  bool
	port string // where a host gives none
}{
	"redis": {single, false, "6379"}, "rediss": {single, true, "6379"}, "unix": {single, false, ""},
	"redis+sentinel": {sentinel, false, "26379"}, "rediss+sentinel": {sentinel, true, "26379"},
	"redis+cluster": {cluster, false, "6379"}, "rediss+cluster": {cluster, true, "6379"},
}

// A target is what a URL names. One of the three options is set, as its form says.
type target struct {
	form  form
	lazy  bool
	byTLS []string // the servers that speak TLS, as host:port

	single   *goredis.Options
	sentinel *goredis.FailoverOptions
	cluster  *goredis.ClusterOptions
}

// parse reads a URL. given is the caller's own TLS configuration, or nil.
//
// Its errors never repeat what stands in the URL's user info, nor in any part
// where an unescaped password may have ended up.
func parse(u *url.URL, given *tls.Config) (*target, error) {
	if err := presentableURL(u); err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid("the query can't be read")
	}
	if err := refuse(query); err != nil {
		return nil, err
	}
	t := &target{form: forms[u.Scheme].form}
	if t.lazy, err = takeBool(query, "lazy"); err != nil {
		return nil, err
	}
	hosts, err := hostsOf(u, query)
	if err != nil {
		return nil, err
	}
	security, err := tlsFor(u, query, given)
	if err != nil {
		return nil, err
	}
	if err := t.parseForm(u, query, hosts, security); err != nil {
		return nil, err
	}
	switch {
	case security == nil:
	case t.form == single:
		t.byTLS = []string{t.single.Addr}
	default:
		t.byTLS = hosts
	}
	return t, nil
}

// parseForm reads the options of the form itself, and the driver's.
func (t *target) parseForm(u *url.URL, query url.Values, hosts []string, security *tls.Config) error {
	// The driver's own parser reads the rest. It knows two schemes, and one host.
	rest := *u
	switch {
	case forms[u.Scheme].tls:
		rest.Scheme, rest.Host = "rediss", hosts[0]
	case u.Scheme != "unix":
		rest.Scheme, rest.Host = "redis", hosts[0]
	}
	switch t.form {
	case sentinel:
		return t.parseSentinel(&rest, query, hosts, security)
	case cluster:
		return t.parseCluster(&rest, query, hosts, security)
	default:
		return t.parseSingle(&rest, query, security)
	}
}

// connect makes the driver's client, which dials when it is used, by the dialer.
func (t *target) connect() (goredis.UniversalClient, *dialer) {
	switch t.form {
	case sentinel:
		d := newDialer(t.sentinel.TLSConfig, t.sentinel.DialTimeout)
		t.sentinel.Dialer = d.connectBySentinel
		client := goredis.NewFailoverClient(t.sentinel)
		client.AddHook(d)
		return client, d
	case cluster:
		d := newDialer(t.cluster.TLSConfig, t.cluster.DialTimeout)
		t.cluster.Dialer, t.cluster.NewClient = d.connect, newNode
		return goredis.NewClusterClient(t.cluster), d
	}
	d := newDialer(t.single.TLSConfig, t.single.DialTimeout)
	t.single.Dialer = d.connect
	return goredis.NewClient(t.single), d
}

func (t *target) parseSingle(rest *url.URL, query url.Values, security *tls.Config) error {
	if err := oneDatabase(rest, query); err != nil {
		return err
	}
	rest.RawQuery = query.Encode()
	o, err := goredis.ParseURL(rest.String())
	if err != nil {
		return driverInvalid(err)
	}
	if o.DB < 0 {
		return errNegativeDB
	}
	o.TLSConfig = security
	tune(o)
	t.single = o
	return nil
}

// parseSentinel reads a URL whose hosts are Sentinels. The user info is that of
// the data nodes, as everywhere; the Sentinels have their own in the query.
func (t *target) parseSentinel(rest *url.URL, query url.Values, hosts []string, security *tls.Config) error {
	if err := oneDatabase(rest, query); err != nil {
		return err
	}
	user, password := take(query, "sentinel_username"), take(query, "sentinel_password")
	if query.Get("master_name") == "" {
		return invalid("master_name= is missing: the name under which the Sentinels watch the master")
	}
	login := rest.User
	rest.User = nil
	rest.RawQuery = query.Encode()
	o, err := goredis.ParseFailoverURL(rest.String())
	if err != nil {
		if password != "" && strings.Contains(err.Error(), "unexpected option") {
			// What the driver would name may be the rest of the password.
			return invalid("there is an unknown parameter: a & in sentinel_password has to be written as %26")
		}
		return driverInvalid(err)
	}
	if o.DB < 0 {
		return errNegativeDB
	}
	o.SentinelAddrs = hosts
	o.SentinelUsername, o.SentinelPassword = user, password
	if login != nil {
		o.Username = login.Username()
		o.Password, _ = login.Password()
	}
	o.TLSConfig = security
	tuneSentinel(o)
	for what, d := range map[string]time.Duration{"dial_timeout": o.DialTimeout, "read_timeout": o.ReadTimeout, "write_timeout": o.WriteTimeout} {
		if d < 0 || d > openTimeout {
			// While the driver asks a Sentinel, nobody else gets a connection, and its
			// Close waits.
			return invalid(what + ": no more than 2s by Sentinel, or a Sentinel that doesn't answer would keep everybody waiting")
		}
	}
	t.sentinel = o
	return nil
}

func (t *target) parseCluster(rest *url.URL, query url.Values, hosts []string, security *tls.Config) error {
	if n := take(query, "db"); n != "" && n != "0" || strings.Trim(rest.Path, "/0") != "" {
		return invalid("a Cluster has one database, number 0")
	}
	rest.Path, rest.RawQuery = "", query.Encode()
	o, err := goredis.ParseClusterURL(rest.String())
	if err != nil {
		return driverInvalid(err)
	}
	o.Addrs = hosts
	o.TLSConfig = security
	tuneCluster(o)
	t.cluster = o
	return nil
}

// oneDatabase refuses two numbers, of which the driver would ignore the first.
func oneDatabase(u *url.URL, query url.Values) error {
	path := strings.Trim(u.Path, "/")
	if u.Scheme != "unix" && path != "" && query.Has("db") && query.Get("db") != path {
		return invalid("two database numbers: one in the path, another in db=")
	}
	return nil
}

var errNegativeDB = invalid("a database number is never negative")

// driverInvalid is what the driver's parser complains of. Only the query is left
// to be wrong, which has no secret in it any more.
func driverInvalid(err error) error {
	if whole := new(url.Error); errors.As(err, &whole) {
		return invalid("it can't be read") // url.Error repeats all of it
	}
	return invalid(strings.TrimPrefix(err.Error(), "redis: "))
}

// refused are parameters of the driver's that locks can't do with.
var refused = map[string]string{
	"max_retries":               "the driver must not repeat commands, and attempts are repeated anyway",
	"min_retry_backoff":         "the driver must not repeat commands, and attempts are repeated anyway",
	"max_retry_backoff":         "the driver must not repeat commands, and attempts are repeated anyway",
	"read_only":                 "a replica knows nothing of the newest locks",
	"replica_only":              "a replica knows nothing of the newest locks",
	"route_by_latency":          "a replica knows nothing of the newest locks",
	"route_randomly":            "a replica knows nothing of the newest locks",
	"use_disconnected_replicas": "a replica knows nothing of the newest locks",
	"username":                  "the user stands before the host, as in redis+sentinel://user:password@host",
	"password":                  "the password stands before the host, as in redis+sentinel://user:password@host",
	// tune sets these.
	"context_timeout_enabled":    notYours,
	"dialer_retries":             notYours,
	"dialer_retry_timeout":       notYours,
	"disableIdentity":            notYours,
	"identitySuffix":             notYours,
	"route_by_latency_tolerance": "a replica knows nothing of the newest locks",
}

const notYours = "locks need it to be as it is"

func refuse(query url.Values) error {
	for name, why := range refused {
		if query.Has(name) {
			return invalid(name + ": " + why)
		}
	}
	return nil
}

// take reads a parameter of ours, which the driver doesn't know.
func take(query url.Values, name string) string {
	value := query.Get(name)
	query.Del(name)
	return value
}

func takeBool(query url.Values, name string) (bool, error) {
	if !query.Has(name) {
		return false, nil
	}
	value, err := strconv.ParseBool(take(query, name))
	if err != nil {
		return false, invalid(name + " is neither true nor false")
	}
	return value, nil
}

// hostsOf lists the hosts of a URL, which may be separated by commas or come
// as addr=, in the order in which they stand.
func hostsOf(u *url.URL, query url.Values) ([]string, error) {
	f := forms[u.Scheme]
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) && !strings.Contains(u.Host, ",") {
		return nil, invalid("the port is no number from 1 to 65535")
	}
	names := append(strings.Split(u.Host, ","), query["addr"]...)
	query.Del("addr")
	if u.Scheme == "unix" || f.form == single && len(names) == 1 {
		return names, nil
	}
	if f.form == single {
		return nil, invalid("more than one host: use redis+sentinel:// or redis+cluster://")
	}
	var hosts []string
	for _, name := range names {
		host, port := name, f.port
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, ']') {
			host, port = name[:i], name[i+1:]
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if host = strings.Trim(host, "[]"); host == "" || strings.Contains(host, "@") || err != nil || n == 0 {
			return nil, invalid("one of the hosts is not of the form host:port")
		}
		if addr := net.JoinHostPort(host, port); !slices.Contains(hosts, addr) {
			hosts = append(hosts, addr)
		}
	}
	return hosts, nil
}

// presentableURL checks all of the URL but its query. An unescaped / ? or # in
// a password ends the host early, and the password's rest becomes a path, a
// query or a fragment: so none of these is shown, and an @ in them says what
// happened.
func presentableURL(u *url.URL) error {
	switch {
	case strings.ContainsRune(u.Path+u.RawQuery+u.Fragment, '@'):
		return invalid("an @ behind the host: characters like / ? # @ in a password have to be written as %2F %3F %23 %40")
	case u.Opaque != "":
		return invalid("the scheme is not followed by //")
	case u.Fragment != "":
		return invalid("a fragment (#…) means nothing here")
	}
	switch _, known := forms[u.Scheme]; {
	case !known:
		return invalid("the scheme is none of redis, rediss, unix, redis+sentinel, redis+cluster")
	case u.Scheme == "unix":
		if u.Host != "" || strings.Trim(u.Path, "/ ") == "" {
			return invalid("a unix:// URL needs three slashes and the socket's path")
		}
	default:
		if db := strings.Trim(u.Path, "/"); db != "" {
			if n, err := strconv.Atoi(db); err != nil || n < 0 {
				return invalid("the path is no database number")
			}
		}
	}
	return nil
}

func invalid(what string) error {
	return fmt.Errorf("%w: %s URL: %s", backends.ErrInvalid, name, what)
}
