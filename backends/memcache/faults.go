package memcache

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"

	"github.com/turnstile-go/turnstile/backends"
)

// errClosed is what calls get after Close.
var errClosed = backends.Unavailable(name, backends.ErrClosed)

var (
	errMalformed = errors.New("the server's answer makes no sense")
	errNoNumbers = errors.New("the server's cas is disabled")
	errChanging  = errors.New("the key changed at every look")
)

// complaint finds the server's own words in a driver's error. It is compiled when
// there is one: a command starts too often to do that for nothing (measured: 1 ms).
var complaint = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:SERVER_ERROR|CLIENT_ERROR|client error:|"ERROR) ?([ -~]{1,100}?)(?:\\r|"|$)`)
})

// byRedis reports whether an answer is an error of Redis's: it answers so what it
// does not understand, and no answer of memcached's begins like it.
func byRedis(err error) bool {
	for _, begin := range []string{`"-ERR `, `"-NOAUTH `, `"-DENIED `} { // as the driver quotes it
		if strings.Contains(err.Error(), begin) {
			return true
		}
	}
	return false
}

// A serverError has the words of a server, and our type for their meaning.
type serverError struct {
	text   string
	reason backends.Reason // 0: none that we know
}

func (e *serverError) Error() string { return e.text }

func (e *serverError) Unwrap() error {
	if e.reason == 0 {
		return nil
	}
	return e.reason
}

// judge words a failure. What the driver says of an answer that it can't read
// may quote an item, and so a token: it is not passed on.
func (t *talk) judge(err error) error {
	if t.b.closed.Load() {
		return errClosed
	}
	if t.ctx.Err() != nil {
		return backends.Interrupted(t.ctx, name)
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		if !strings.Contains(err.Error(), t.server.addr) { // a dial names it
			err = fmt.Errorf("%s: %w", t.server.addr, err)
		}
		return backends.Unavailable(name, err)
	}
	if byRedis(err) {
		return backends.Refused(name, "a Redis server answers there: use redis:// in place of memcache://, or another port",
			&serverError{t.server.addr + ": " + errMalformed.Error(), backends.WrongServer})
	}
	said := complaint().FindStringSubmatch(err.Error())
	if said == nil {
		return backends.Unavailable(name, fmt.Errorf("%s: %w", t.server.addr, errMalformed))
	}
	words := &serverError{text: t.server.addr + " says: " + said[1]}
	switch said[1] {
	case "unauthenticated":
		words.reason = backends.WrongLogin
		return backends.Refused(name, "the server wants a login, and this backend has none", words)
	case "cannot increment or decrement non-numeric value":
		words.reason = backends.WrongType
		return backends.Refused(name, "delete the item "+t.items.fence+", which is no counter of ours", words)
	case "Too many open connections":
		words.reason = backends.TooManyClients
	case "out of memory storing object":
		words.reason = backends.OutOfMemory
	}
	return backends.Unavailable(name, words)
}
