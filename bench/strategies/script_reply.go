package strategies

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// A reply is what a script returns, on either engine.
type reply = keyspace.Reply

// A grant is what acquire says.
type grant struct {
	granted bool
	fence   uint64
	retry   time.Duration // when to ask again, if it is not granted
}

// longestRetry is the longest pause that acquire may ask for.
const longestRetry = time.Minute

// granted reads the reply of acquire.
func granted(path string, r reply) (grant, error) {
	if r.Kind != keyspace.Array || len(r.Array) < 1 || len(r.Array) > 2 || r.Array[0].Kind != keyspace.Integer || uint64(r.Array[0].Int) > 1 {
		return grant{}, misshapen(path, r)
	}
	// What the script says is kept to the millisecond; a script that wants its
	// waiters spread does that itself.
	g := grant{granted: r.Array[0].Int == 1, retry: jittered()}
	if len(r.Array) == 1 {
		return g, nil
	}
	n, ok := number(r.Array[1])
	switch {
	case !ok || n == 0 || !g.granted && n > uint64(longestRetry.Milliseconds()):
		return grant{}, misshapen(path, r)
	case g.granted:
		g.fence = n
	default:
		g.retry = time.Duration(n) * time.Millisecond
	}
	return g, nil
}

func misshapen(path string, r reply) error {
	return fmt.Errorf("%s: replied %s, want {1}, {1, fence}, {0} or {0, retry_after_ms}: a fence is from 1, retry_after_ms is 1 to %d", path, shown(r), longestRetry.Milliseconds())
}

// yes reads the reply of renew and of release.
func yes(path string, r reply) (bool, error) {
	if r.Kind != keyspace.Integer || uint64(r.Int) > 1 {
		return false, fmt.Errorf("%s: replied %s, want 1 or 0", path, shown(r))
	}
	return r.Int == 1, nil
}

// number reads an integer that is not negative. Lua's own are exact to 2^53, so
// digits in a string count as well.
func number(r reply) (uint64, bool) {
	switch {
	case r.Kind == keyspace.Integer && r.Int >= 0:
		return uint64(r.Int), true
	case r.Kind == keyspace.Bulk:
		n, err := strconv.ParseUint(r.Str, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// shown writes a reply as a script would return it.
func shown(r reply) string {
	switch r.Kind {
	case keyspace.Integer:
		return strconv.FormatInt(r.Int, 10)
	case keyspace.Bulk:
		return strconv.Quote(cut(r.Str))
	case keyspace.Status:
		return fmt.Sprintf("{ok = %q}", cut(r.Str))
	case keyspace.Error:
		return fmt.Sprintf("{err = %q}", cut(r.Str))
	case keyspace.Array:
		parts := make([]string, 0, len(r.Array))
		for i, e := range r.Array {
			if i == 4 {
				parts = append(parts, "…")
				break
			}
			parts = append(parts, shown(e))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "nothing"
}

// cut keeps an error to a line.
func cut(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

var (
	// where is how Redis names a script's line: "user_script:3: …" where Lua itself
	// failed; and from 7.0 at the end, ", on @user_script:3.", after the SHA-1.
	where = pattern(`@?user_script:(\d+)`)
	tail  = pattern(`\s*script: [0-9a-f]{40}, on @user_script:(\d+)\.\s*$`)
	// called is Redis before 7.0.
	called = pattern(`^Error running script \(call to f_[0-9a-f]{40}\): `)
)

// pattern is compiled when it is first needed: the command imports this package, and
// most of its processes run no script.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// failure is a script's error in the order of other errors: file, line, what.
// message is the engine's, which names the script by its path, or the server's.
func failure(path, message string) error {
	message = strings.TrimPrefix(message, "ERR ")
	message = called().ReplaceAllString(message, "")
	line := ""
	if at := tail().FindStringSubmatchIndex(message); at != nil {
		message, line = message[:at[0]], message[at[2]:at[3]]
	}
	message = where().ReplaceAllString(message, path+":$1")
	switch {
	case strings.HasPrefix(message, path+":"):
		return fmt.Errorf("%s", message)
	case line != "":
		return fmt.Errorf("%s:%s: %s", path, line, message)
	}
	return fmt.Errorf("%s: %s", path, message)
}
