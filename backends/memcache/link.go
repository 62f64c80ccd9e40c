package memcache

import (
	"context"
	"errors"
	"net"
	"time"

	gomemcache "github.com/bradfitz/gomemcache/memcache"
)

// A wire carries commands to one server over one connection. Of its errors,
// miss, not stored and conflict are answers; all others end the connection.
type wire interface {
	get(names ...string) (map[string]*gomemcache.Item, error)
	add(*gomemcache.Item) error
	set(*gomemcache.Item) error
	cas(*gomemcache.Item) error
	incr(name string, by uint64) (uint64, error)
}

// A link is one connection, with a driver of its own that can't make another.
//
// A compare-and-swap is only as good as its number, and a server that was
// restarted counts from 1 again: the number that one server gave out may by now
// stand for somebody else's item on the next. A connection ends with its server;
// so a number is only ever sent over the link it came by.
type link struct {
	conn   net.Conn
	client *gomemcache.Client
	used   bool      // it was idle: what is at its other end may be gone
	met    bool      // it has brought an answer
	sent   time.Time // when its newest command was sent
	since  time.Time // when it became idle
}

var _ wire = (*link)(nil)

var errOneConnection = errors.New("the connection has ended")

func newLink(conn net.Conn, timeout time.Duration) *link {
	l := &link{conn: conn, client: gomemcache.NewFromSelector(only{conn.RemoteAddr()})}
	l.client.Timeout, l.client.MaxIdleConns = timeout, 1
	given := false
	// The link is one verb's at a time, and so is the driver's dialling.
	l.client.DialContext = func(context.Context, string, string) (net.Conn, error) {
		if given {
			return nil, errOneConnection
		}
		given = true
		return conn, nil
	}
	return l
}

func (l *link) get(names ...string) (map[string]*gomemcache.Item, error) {
	return l.client.GetMulti(names)
}
func (l *link) add(i *gomemcache.Item) error { return l.client.Add(i) }
func (l *link) set(i *gomemcache.Item) error { return l.client.Set(i) }
func (l *link) cas(i *gomemcache.Item) error { return l.client.CompareAndSwap(i) }
func (l *link) incr(name string, by uint64) (uint64, error) {
	return l.client.Increment(name, by)
}

// answered tells an answer from a failure.
func answered(err error) bool {
	return err == nil || missing(err) || errors.Is(err, gomemcache.ErrNotStored) || errors.Is(err, gomemcache.ErrCASConflict)
}

func missing(err error) bool { return errors.Is(err, gomemcache.ErrCacheMiss) }

// only is the driver's choice among one server.
type only struct{ addr net.Addr }

func (o only) PickServer(string) (net.Addr, error)        { return o.addr, nil }
func (o only) Each(visit func(addr net.Addr) error) error { return visit(o.addr) }
