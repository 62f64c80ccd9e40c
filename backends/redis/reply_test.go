package redis

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/backends"
)

// seventh is the attempt that the replies of these tests are to, and to7 puts its number in front of one.
var seventh = backends.Session("00000000000000000001").Token(7)

func to7(reply any) any {
	if l, ok := reply.([]any); ok {
		return append([]any{int64(7)}, l...)
	}
	return reply
}

// TestRepliesToAnotherAttemptMakeNoSense, whatever they say.
func TestRepliesToAnotherAttemptMakeNoSense(t *testing.T) {
	t.Parallel()
	const base = "1700000000000000"
	for _, row := range []struct {
		verb  string
		reply []any
		want  error
	}{
		{"acquire", []any{int64(1), base, int64(10), int64(0), int64(1)}, nil},
		{"acquire", []any{int64(0), "x", int64(1), int64(1), int64(1), int64(0)}, nil},
		{"acquire", []any{int64(-1)}, backends.ErrSettled},
		{"renew", []any{int64(1), base, int64(10), int64(0)}, nil},
		{"renew", []any{int64(0)}, backends.ErrNotHeld},
		{"renew", []any{int64(2)}, backends.ErrRevoked},
		{"release", []any{int64(1), int64(1), int64(0)}, nil},
		{"release", []any{int64(0), int64(1)}, backends.ErrNotHeld},
		{"cancel", []any{int64(1), int64(1)}, nil},
	} {
		read := func(v any, a backends.Token) (reply backends.Reply, err error) {
			switch row.verb {
			case "acquire":
				reply, _, _, err = readAcquire(v, a, pushByScript, pacing{})
			case "renew":
				reply, err = readRenew(v, a)
			case "release":
				_, _, err = readRelease(v, a, pushByScript)
			default:
				_, _, err = readCancel(v, a, pushByScript)
			}
			return reply, err
		}
		if _, err := read(to7(row.reply), seventh); !errors.Is(err, row.want) {
			t.Errorf("%s %v: %v, want %v", row.verb, row.reply, err, row.want)
		}
		with := func(first any) any { return append([]any{first}, row.reply...) }
		for _, v := range []any{with(int64(6)), with(int64(-7)), with(int64(0)), with("000000000007"), with(7.0), with(nil), row.reply} {
			reply, err := read(v, seventh)
			if err == nil || err.Error() != malformed(row.verb).Error() || reply.Base != 0 || reply.Outcome != backends.MayHaveRun {
				t.Errorf("%s %v: %+v, %v; want it malformed", row.verb, v, reply, err)
			}
		}
	}
}

func TestMalformedRepliesGrantNothing(t *testing.T) {
	t.Parallel()
	const base = "1700000000000000"
	for _, v := range []any{
		nil, "OK", int64(1), []any{}, []any{nil}, []any{"1", base, int64(1), int64(0), int64(1)}, []any{1.0, base, int64(1), int64(0), int64(1)},
		[]any{int64(2)}, []any{int64(1)}, []any{int64(1), base, int64(10)}, []any{int64(1), base, int64(10), int64(0), int64(0), int64(0)}, []any{int64(1), base, int64(10), int64(0), int64(2)},
		[]any{int64(1), int64(1700000000000000), int64(10), int64(0), int64(1)}, []any{int64(1), "1.7e+15", int64(10), int64(0), int64(1)},
		[]any{int64(1), "-5", int64(10), int64(0), int64(1)}, []any{int64(1), "0", int64(10), int64(0), int64(1)},
		[]any{int64(1), "9007199254740992", int64(10), int64(0), int64(1)}, []any{int64(1), base, int64(0), int64(0), int64(1)},
		[]any{int64(1), base, "10", int64(0), int64(1)}, []any{int64(0)}, []any{int64(0), "x", int64(1), int64(1), int64(1)},
		[]any{int64(0), nil, int64(1), int64(1), int64(1), int64(0)}, []any{int64(-1), int64(0)},
	} {
		if _, _, err := readInspect(v); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("inspect %v: %v", v, err)
		}
		l, _ := v.([]any)
		short := len(l) == 1 && (l[0] == int64(0) || l[0] == int64(2)) // renew's "not held" and "revoked"
		v = to7(v)
		if reply, _, _, err := readAcquire(v, seventh, pushByScript, pacing{}); !errors.Is(err, backends.ErrUnavailable) || reply.Outcome != backends.MayHaveRun || errors.Is(err, backends.ErrSettled) {
			t.Errorf("acquire %v: %+v, %v", v, reply, err)
		}
		if reply, err := readRenew(v, seventh); !short && (!errors.Is(err, backends.ErrUnavailable) || reply != (backends.Reply{})) {
			t.Errorf("renew %v: %+v, %v", v, reply, err)
		}
		if _, _, err := readRelease(v, seventh, pushByScript); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("release %v: %v", v, err)
		}
	}
	for _, v := range []any{nil, "OK", int64(1), []any{}, []any{int64(1)}, []any{int64(2), int64(0)}, []any{"1", int64(0)}, []any{int64(1), int64(2)}, []any{int64(1), int64(1), int64(1)}} {
		if _, _, err := readCancel(to7(v), seventh, pushByScript); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("cancel %v: %v", v, err)
		}
	}
	for _, v := range []any{nil, "OK", int64(1), []any{}, []any{int64(-1)}, []any{int64(-2), int64(0)}, []any{int64(5)}, []any{"1"}, []any{int64(4), int64(1)}} {
		if found, _, _, err := readRevoke(v, pushByScript); !errors.Is(err, backends.ErrUnavailable) || found != backends.NobodyHolds {
			t.Errorf("revoke %v: %v, %v", v, found, err)
		}
	}
	for _, v := range [][]any{
		{int64(1), "x", int64(1), int64(1), base, int64(0), int64(0), base}, {int64(1), "x", int64(1), int64(1), base, int64(0), nil, base, []any{}},
		{int64(1), "x", int64(1), int64(1), base, int64(0), int64(0), int64(0), []any{}}, {int64(1), "x", int64(1), int64(1), base, int64(0), int64(0), "x", []any{}},
		{int64(1), "x", int64(1), int64(1), base, int64(1), int64(0), base, []any{"x"}}, {int64(1), "x", int64(1), int64(1), base, int64(1), int64(0), base, []any{"x", "1"}},
	} {
		if _, _, err := readInspect(v); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("inspect %v: %v", v, err)
		}
	}
}

// TestMalformedRepliesOfSharesGrantNothing, and those to another attempt.
func TestMalformedRepliesOfSharesGrantNothing(t *testing.T) {
	t.Parallel()
	const base = "1700000000000000"
	granted := []any{int64(1), base, int64(10), int64(0), int64(1), "p", int64(2)}
	held := []any{int64(0), "x", int64(1), int64(5), int64(1), int64(0), "s", int64(3)}
	renewed := []any{int64(1), base, int64(10), int64(0), "s", int64(1)}
	ended := []any{int64(1), int64(0), int64(1)}
	with := func(l []any, at int, v any) []any {
		l = slices.Clone(l)
		l[at] = v
		return l
	}
	if r, quiet, err := readAcquireShare(granted, pacing{}); err != nil || r.Kind != backends.Slots || r.Permits != 2 || !quiet || r.Outcome != backends.Granted {
		t.Errorf("granted: %+v, %v, %v", r, quiet, err)
	}
	r, _, err := readAcquireShare(held, pacing{queued: true, hears: true, repeats: true})
	if err != nil || r.Kind != backends.Shared || r.Out != 3 || r.Outcome != backends.Held || r.Retry > heartbeat {
		t.Errorf("held: %+v, %v", r, err)
	}
	if r, err := readRenewShare(renewed); err != nil || r.Kind != backends.Shared || r.Permits != 0 || r.Outcome != backends.Granted {
		t.Errorf("renewed: %+v, %v", r, err)
	}
	if had, quiet, err := readReleaseShare(ended); err != nil || !had || !quiet {
		t.Errorf("ended: %v, %v, %v", had, quiet, err)
	}
	for _, l := range [][]any{
		nil, {}, {int64(1)}, {int64(0)}, {int64(2)}, granted[:6], held[:7], renewed, ended, with(granted, 5, "y"), with(granted, 5, "sp"),
		with(granted, 5, ""), with(granted, 6, int64(0)), with(granted, 6, int64(65)), with(granted, 6, "2"), with(granted, 4, int64(2)),
		with(granted, 1, "0"), with(granted, 2, int64(0)), with(held, 6, nil), with(held, 7, int64(-1)), with(held, 4, int64(-1)), with(held, 0, int64(-2)),
	} {
		if r, _, err := readAcquireShare(l, pacing{}); !malformedReply(err) || r.Outcome == backends.Granted {
			t.Errorf("acquire %v: %+v, %v", l, r, err)
		}
	}
	for _, l := range [][]any{
		nil, {int64(-1)}, granted, held, ended, renewed[:5], with(renewed, 4, "z"), with(renewed, 5, int64(0)), with(renewed, 1, "x"), {int64(0), int64(0)},
	} {
		if r, err := readRenewShare(l); !malformedReply(err) || errors.Is(err, backends.ErrRevoked) || r.Outcome == backends.Granted {
			t.Errorf("renew %v: %+v, %v", l, r, err)
		}
	}
	for _, l := range [][]any{nil, {int64(1), int64(0)}, with(ended, 0, int64(2)), with(ended, 1, "0"), with(ended, 2, nil), held} {
		if _, _, err := readReleaseShare(l); !malformedReply(err) {
			t.Errorf("release %v: %v", l, err)
		}
	}
	one := []any{"x", int64(1), int64(2), int64(1), int64(0), base, base, int64(0)}
	if all, ok := (fields{append(slices.Clone(one), one...)}).holders(0); !ok || len(all) != 2 || *all[1].Label != "x" || all[1].First == 0 {
		t.Errorf("holders: %+v, %v", all, ok)
	}
	for _, l := range []any{nil, "x", one[:7], with(one, 0, int64(1)), with(one, 5, "x"), with(one, 7, int64(2)), with(one, 3, "1")} {
		if all, ok := (fields{l}).holders(0); ok {
			t.Errorf("holders %v: %+v", l, all)
		}
	}
}

// Each reply is right in one of the two modes: with the messages at its end if
// the caller publishes, and without if the script does.
func TestRepliesEndInMessagesWhereTheCallerPublishes(t *testing.T) {
	t.Parallel()
	const base, session = "1700000000000000", "00000000000000000001"
	read := map[string]func(v any, push string) ([]told, error){
		"acquire": func(v any, push string) ([]told, error) {
			_, _, messages, err := readAcquire(v, seventh, push, pacing{})
			return messages, err
		},
		"release": func(v any, push string) ([]told, error) {
			_, messages, err := readRelease(v, seventh, push)
			return messages, err
		},
		"cancel": func(v any, push string) ([]told, error) {
			_, messages, err := readCancel(v, seventh, push)
			return messages, err
		},
		"revoke": func(v any, push string) ([]told, error) {
			_, _, messages, err := readRevoke(v, push)
			return messages, err
		},
	}
	for _, row := range []struct {
		verb  string
		reply []any
		want  error
	}{
		{"acquire", []any{int64(1), base, int64(10), int64(0), int64(1)}, nil},
		{"acquire", []any{int64(0), "x", int64(1), int64(1), int64(1), int64(0)}, nil},
		{"acquire", []any{int64(-1)}, backends.ErrSettled},
		{"release", []any{int64(1), int64(1), int64(0)}, nil},
		{"release", []any{int64(0), int64(1)}, backends.ErrNotHeld},
		{"cancel", []any{int64(1), int64(1)}, nil},
		{"revoke", []any{int64(3)}, nil},
	} {
		isMalformed := func(reply []any, push string) bool {
			messages, err := read[row.verb](reply, push)
			return len(messages) == 0 && err != nil && err.Error() == malformed(row.verb).Error()
		}
		if row.verb != "revoke" {
			row.reply = to7(row.reply).([]any)
		}
		with := func(last any) []any { return append(slices.Clone(row.reply), last) }
		if messages, err := read[row.verb](row.reply, pushByScript); len(messages) > 0 || !errors.Is(err, row.want) {
			t.Errorf("%s %v: %v, %v; want %v", row.verb, row.reply, messages, err, row.want)
		}
		for n, list := range [][]any{{}, {session, "gk"}, {session, "gk", session, "wk"}} {
			messages, err := read[row.verb](with(list), pushByCaller)
			if len(messages) != n || !errors.Is(err, row.want) || n > 0 && messages[n-1] != (told{session, list[2*n-1].(string)}) {
				t.Errorf("%s %v: %v, %v; want %d messages, %v", row.verb, with(list), messages, err, n, row.want)
			}
			if !isMalformed(with(list), pushByScript) {
				t.Errorf("%s %v: messages that nobody asked for", row.verb, with(list))
			}
		}
		for _, last := range []any{nil, "gk", int64(0), []any{session}, []any{session, int64(1)}, []any{int64(1), "gk"}, []any{nil, nil}} {
			if !isMalformed(with(last), pushByCaller) {
				t.Errorf("%s %v: %v is no list of messages", row.verb, with(last), last)
			}
		}
		if !isMalformed(row.reply, pushByCaller) {
			t.Errorf("%s %v: no messages", row.verb, row.reply)
		}
	}
}

func TestPollingBacksOffAndMeetsTheLeasesEnd(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for probe, most := range map[int]time.Duration{
		-1: 5 * time.Millisecond, 0: 5 * time.Millisecond, 1: 10 * time.Millisecond, 2: 20 * time.Millisecond,
		3: 40 * time.Millisecond, 4: 50 * time.Millisecond, 1 << 40: 50 * time.Millisecond,
	} {
		for range 200 {
			if d := (pacing{probe: probe}).retry(-ms, -ms, 2, false); d > most || d <= most/2 {
				t.Fatalf("probe %d: %v, want above %v up to %v", probe, d, most/2, most)
			}
		}
	}
	for range 200 {
		if d := (pacing{probe: 9}).retry(3*ms, 0, 0, false); d < 3*time.Millisecond || d >= 5*time.Millisecond {
			t.Fatalf("a lease that ends in 3 ms: %v", d)
		}
	}
}

// TestWhoIsRefusedAnInboxPollsSeldom: the farther back, and the longer the holder has
// had the lock. The head of the queue still comes within what a short hold is worth.
func TestWhoIsRefusedAnInboxPollsSeldom(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, row := range []struct {
		probe, place int
		held, most   time.Duration
	}{
		{-1, 1, -ms, 5 * ms},
		{0, 9, time.Hour, 5 * ms},
		{1 << 40, 1, -ms, 25 * ms}, // another library's holder, since nobody knows when
		{9, 1, time.Second, 25 * ms},
		{9, 1, 4 * time.Second, 100 * ms},
		{9, 1, time.Hour, 250 * ms},
		{9, 2, 0, 50 * ms},
		{9, 4, 0, 100 * ms},
		{9, 1 << 40, 0, 250 * ms},
	} {
		for range 200 {
			p := pacing{probe: row.probe, queued: true, seldom: true}
			if d := p.retry(-ms, row.held, row.place, false); d > row.most || d <= row.most/2 {
				t.Fatalf("%+v: %v, want above %v up to %v", row, d, row.most/2, row.most)
			}
		}
	}
	if d := (pacing{probe: 9, queued: true, seldom: true}).retry(3*ms, time.Hour, 1, false); d < 3*ms || d >= 5*ms {
		t.Errorf("a lease that ends in 3 ms: %v", d)
	}
}

func TestALeaseIsNeverShorterThanAskedFor(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1000", 1500 * time.Microsecond: "2", time.Nanosecond: "1", 0: "1", 24 * time.Hour: "86400000",
	} {
		if got := millis(d); got != want {
			t.Errorf("millis(%v) = %s, want %s", d, got, want)
		}
	}
}

// What has to be asked at once must not become a storm, nor what was refused.
func TestReconnectsSlowDown(t *testing.T) { synctest.Test(t, reconnectsSlowDown) }

func reconnectsSlowDown(t *testing.T) {
	down := errors.New("connection refused")
	p := pace{passes: new(pushes).passes}
	if d := p.next(down); d != 0 {
		t.Errorf("the first comes after %v", d)
	}
	for last, n := time.Duration(0), 0; n < 20; n++ {
		d := p.next(down)
		if d < last || d < reconnectFirst || d > reconnectMost {
			t.Fatalf("pause %d is %v, after %v", n, d, last)
		}
		last = d
	}
	p.connected()
	if d := p.next(down); d != reconnectMost {
		t.Errorf("a connection that broke at once makes it %v", d)
	}
	p.since = time.Now().Add(-reconnectMost)
	if d := p.next(down); d != 0 {
		t.Errorf("after one that lasted it is %v", d)
	}
	if d := p.next(goredis.Nil); d != reconnectFirst {
		t.Errorf("then %v", d)
	}
	if d := p.next(reply("NOPERM no")); d != refusedPause {
		t.Errorf("after a refusal it is %v", d)
	}
	p.since = time.Now().Add(-reconnectMost)
	if d := p.next(reply("MOVED 1 127.0.0.1:1")); d != 0 {
		t.Errorf("after a redirection it is %v", d)
	}
}
