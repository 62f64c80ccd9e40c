package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
	"github.com/turnstile-go/turnstile/backends/embedded/engine"
	"github.com/turnstile-go/turnstile/internal/servers/servertest"
	"github.com/turnstile-go/turnstile/scripts"
)

func server(t *testing.T) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: servertest.Redis(t).Addr})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// onRedis runs a script on the server and writes what it came to as outcome does.
func onRedis(t *testing.T, client *goredis.Client, source string, keys []string, argv ...string) string {
	t.Helper()
	args := make([]any, len(argv))
	for i, a := range argv {
		args[i] = a
	}
	value, err := client.Eval(t.Context(), source, keys, args...).Result()
	var said goredis.Error
	switch {
	case errors.Is(err, goredis.Nil):
		return "nil"
	case errors.As(err, &said):
		if raised, _, ok := strings.Cut(err.Error(), " script: "); ok {
			return "!" + raised
		}
		return "-" + err.Error()
	case err != nil:
		t.Fatal(err)
	}
	return shown(value)
}

func shown(value any) string {
	switch v := value.(type) {
	case int64:
		return fmt.Sprint(v)
	case string:
		if slices.Contains([]string{"OK", "fine", "none", "string", "hash", "zset"}, v) {
			return v // go-redis does not tell a status from a string
		}
		return `"` + v + `"`
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = shown(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case error:
		return "-" + v.Error()
	}
	return "nil"
}

func TestRedisSaysTheSame(t *testing.T) {
	client := server(t)
	for _, row := range rows {
		want := strings.ReplaceAll(row.want, `"OK"`, "OK")
		if got := onRedis(t, client, row.script, []string{"key1", "key2"}); got != want {
			t.Errorf("%s\nRedis says %s\n  want %s", row.script, got, row.want)
		}
	}
}

// A script that is straight here gives the same answers on a server.
func TestRedisSaysTheSameOfWhatIsStraight(t *testing.T) {
	client := server(t)
	for _, source := range straightRows {
		want := strings.ReplaceAll(eval(t, newVM(), source, "arg"), `"OK"`, "OK")
		if err := client.Del(t.Context(), "key1", "key2", "s").Err(); err != nil {
			t.Fatal(err)
		}
		if got := onRedis(t, client, source, []string{"key1", "key2"}, "arg"); got != want {
			t.Errorf("%s\nRedis says %s\n     here %s", source, got, want)
		}
	}
}

// words are what random commands are made of, by position.
var (
	verbs = []string{
		"GET", "SET", "SET", "SETNX", "GETSET", "MGET", "INCR", "INCRBY", "DECR", "DECRBY", "DEL", "EXISTS", "TYPE", "EXPIRE", "PEXPIRE", "PERSIST", "TTL",
		"HSET", "HSET", "HSETNX", "HGET", "HMGET", "HGETALL", "HDEL", "HLEN", "HEXISTS", "HINCRBY",
		"ZADD", "ZADD", "ZADD", "ZREM", "ZCARD", "ZSCORE", "ZMSCORE", "ZRANK", "ZRANGE", "ZCOUNT", "ZREMRANGEBYSCORE", "PUBLISH", "nosuch",
	}
	names = []string{"s", "h", "z", "any"}
	words = []string{
		"a", "b", "c", "1", "2", "3", "10", "-5", "007", "1.5", "(2", "-inf", "+inf", "inf", "x y", "", "9223372036854775807", "-9223372036854775808",
		"1e3", "0", "-1", "NX", "XX", "EX", "100", "PX", "100000", "KEEPTTL", "GET", "WITHSCORES", "CH", "GT", "LT", "nan", "0x10", " 1", "+1", "1_0",
		"3.0", "1e400", "1e-400", "0.1", "12345678901234567890", "00", "-0x1", "1e22", "123456789012345678",
	}
)

func randomCommand(random *rand.Rand) []string {
	args := []string{verbs[random.IntN(len(verbs))]}
	if random.IntN(40) > 0 {
		args = append(args, names[random.IntN(len(names))])
	}
	for range random.IntN(7) {
		args = append(args, words[random.IntN(len(words))])
	}
	return args
}

// leftOut are commands that the two may rightly answer differently: options of
// EXPIRE, which are an arity error up to 6.2 and here; and short expiries,
// which would end at different commands, since the engines run one after another.
func leftOut(args []string) bool {
	switch args[0] {
	case "EXPIRE", "PEXPIRE":
		return len(args) > 3 || len(args) == 3 && isShort(args[2])
	case "SET":
		return slices.ContainsFunc(args, isShort) && (slices.Contains(args, "EX") || slices.Contains(args, "PX"))
	}
	return false
}

func isShort(word string) bool {
	n, err := strconv.Atoi(word)
	return err == nil && n > 0 && n < 100_000
}

// One engine against the other, reply for reply, over commands that are mostly
// nonsense: it is in the errors and their order that two servers part.
func TestRandomCommandsAnswerAsOnRedis(t *testing.T) {
	client, vm := server(t), newVM()
	const source = "return redis.pcall(unpack(ARGV))"
	p := program(t, source)
	random := rand.New(rand.NewPCG(3, 4))
	var history []string
	for n := range 40_000 {
		args := randomCommand(random)
		if leftOut(args) {
			continue
		}
		want := onRedis(t, client, source, nil, args...)
		got := outcome(vm.Run(p, nil, args))
		history = append(history, fmt.Sprintf("%q -> %s", args, want))
		if args[0] == "HGETALL" {
			want, got = sorted(want), sorted(got)
		}
		if args[0] == "TTL" {
			want, got = remaining(want), remaining(got)
		}
		if strings.ReplaceAll(got, `"OK"`, "OK") != want {
			t.Fatalf("command %d: %q\nhere  %s\nRedis %s\nbefore it:\n%s", n, args, got, want, strings.Join(history[max(0, len(history)-12):], "\n"))
		}
	}
}

// sorted is a reply whose order is nobody's business.
func sorted(reply string) string {
	parts := strings.Fields(strings.Trim(reply, "[]"))
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// The lock itself on both engines: random verbs of five sessions on one key.
// What depends on the clock is masked.
func TestTheLockSaysTheSameOnRedis(t *testing.T) {
	client := server(t)
	programs := map[*scripts.Script]*engine.Program{}
	for _, s := range scripts.Mutex() {
		programs[s] = mutex(t, s)
	}
	random := rand.New(rand.NewPCG(5, 6))
	vm := newVM()
	for round := range 60 {
		keys := scripts.Keys(fmt.Sprintf("pylock:%d", round))
		sessions := make([]*actor, 5)
		for i := range sessions {
			sessions[i] = &actor{session: backends.NewSession(), attempt: 1, known: "0"}
		}
		for step := range 60 {
			a := sessions[random.IntN(len(sessions))]
			s, argv := a.step(random)
			want := onRedis(t, client, s.Source(), keys, argv...)
			reply, err := vm.Run(programs[s], keys, argv)
			got := outcome(reply, err)
			if mask(got) != mask(want) {
				t.Fatalf("round %d step %d: %s %q\nhere  %s\nRedis %s", round, step, s.Name, argv[min(1, len(argv)):], got, want)
			}
		}
	}
}

// An actor is a session that does things at random.
type actor struct {
	session backends.Session
	attempt uint64
	known   string
}

func (a *actor) step(random *rand.Rand) (*scripts.Script, []string) {
	if random.IntN(3) == 0 {
		a.attempt++
	}
	n := a.attempt
	if random.IntN(8) == 0 && n > 1 {
		n-- // a late copy
	}
	token, push := a.session.Token(n).Wire(), fmt.Sprint(random.IntN(2))
	switch random.IntN(9) {
	case 0, 1, 2, 3:
		return scripts.Acquire, []string{token, "30000", "label " + string(a.session[:2]), fmt.Sprint(random.IntN(2)), fmt.Sprint(random.IntN(3)), "1000", push}
	case 4, 5:
		return scripts.Release, []string{token, fmt.Sprint(random.IntN(2)), push}
	case 6:
		return scripts.Renew, []string{token, "30000", a.known}
	case 7:
		return scripts.Cancel, []string{token, fmt.Sprint(random.IntN(2)), push}
	}
	return scripts.Inspect, nil
}

// Bases have 16 digits; remaining times and times held have up to five, and
// come from two clocks.
var (
	bases = regexp.MustCompile(`"\d{16}"`)
	given = regexp.MustCompile(`"l(\d{12})\d{16}`) // what is told of a lease
	waits = regexp.MustCompile(`" \d+`)
	times = regexp.MustCompile(`(^\[\d+ 0 "[^"]*") -?\d+ (\d+)|(^\[\d "[^"]*") -?\d+ -?\d+`)
)

func mask(reply string) string {
	if i := strings.LastIndex(reply, "["); i > 0 { // the waiters and their times
		reply = reply[:i] + waits.ReplaceAllString(reply[i:], `" MS`)
	}
	reply = given.ReplaceAllString(bases.ReplaceAllString(reply, "BASE"), `"l${1}BASE`)
	return times.ReplaceAllStringFunc(reply, func(s string) string {
		fields := strings.Fields(s)
		return strings.Join(fields[:len(fields)-2], " ") + " HELD " + remaining(fields[len(fields)-1])
	})
}

// remaining keeps what is no duration: never, gone, promised.
func remaining(ms string) string {
	if n, err := strconv.Atoi(ms); err == nil && n > 0 {
		return "MS"
	}
	return ms
}
