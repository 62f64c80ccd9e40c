package memcache

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

const (
	defaultPort = "11211"

	// openTimeout bounds the look at the servers at open.
	openTimeout = 2 * time.Second
	// defaultTimeout is the driver's own. The longest keeps a command within the
	// 2 s that a call may take.
	defaultTimeout = 500 * time.Millisecond
	leastTimeout   = time.Millisecond
	longestTimeout = 2 * time.Second

	defaultIdle = 64
)

// options is what a URL says.
type options struct {
	addrs   []string      // host:port, each once
	timeout time.Duration // of a dial, and of a command
	maxIdle int           // connections to a server that are kept
	lazy    bool
}

// parse reads a URL. memcached has no passwords here; if there is one in the URL
// all the same, or half of one where it ended up unescaped, no error shows it.
func parse(u *url.URL) (options, error) {
	o := options{timeout: defaultTimeout, maxIdle: defaultIdle}
	switch {
	case u.Scheme != "memcache":
		return o, invalid("the scheme is not memcache")
	case u.User != nil:
		return o, invalid("logins are not supported: leave out what is before the @")
	case u.Opaque != "" || strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return o, invalid("write memcache://HOST:PORT[,HOST:PORT…], and nothing behind but parameters")
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		addr, err := address(host)
		if err != nil {
			return o, err
		}
		if slices.Contains(o.addrs, addr) {
			return o, invalid("a server is named twice")
		}
		o.addrs = append(o.addrs, addr)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, invalid("the query can't be read")
	}
	for key, values := range query {
		if err := o.set(key, values[len(values)-1]); err != nil {
			return o, err
		}
	}
	return o, nil
}

// set takes a parameter. Its value is not repeated in errors, nor is a name that
// is not known.
func (o *options) set(key, value string) (err error) {
	switch key {
	case "timeout":
		o.timeout, err = time.ParseDuration(value)
		if err != nil || o.timeout < leastTimeout || o.timeout > longestTimeout {
			return invalid(fmt.Sprintf("timeout is a duration from %v to %v", leastTimeout, longestTimeout))
		}
	case "max_idle":
		o.maxIdle, err = strconv.Atoi(value)
		if err != nil || o.maxIdle < 1 || o.maxIdle > maxOpen {
			return invalid(fmt.Sprintf("max_idle is a number from 1 to %d", maxOpen))
		}
	case "lazy":
		if o.lazy, err = strconv.ParseBool(value); err != nil {
			return invalid("lazy is neither true nor false")
		}
	default:
		return invalid("the parameters are timeout, max_idle and lazy")
	}
	return nil
}

// address completes a host by memcached's port. Case means nothing in a host, nor
// does a zero before a port, and so they must mean nothing to where keys are.
func address(host string) (string, error) {
	addr := strings.ToLower(host)
	if !strings.Contains(strings.TrimPrefix(addr, "["), ":") || strings.HasSuffix(addr, "]") {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), defaultPort)
	}
	name, port, err := net.SplitHostPort(addr)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || name == "" || bad != nil || n == 0 {
		return "", invalid("write each server as HOST:PORT")
	}
	return net.JoinHostPort(name, strconv.FormatUint(n, 10)), nil // 011211 is 11211
}

func invalid(what string) error {
	return fmt.Errorf("%w: backend URL memcache://…: %s", backends.ErrInvalid, what)
}
