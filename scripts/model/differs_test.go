package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
	"github.com/turnstile-go/turnstile/scripts"
)

// compare says how the keyspace differs from the model's state.
func (l *lua) compare(s *store) string {
	for _, differs := range []func(*store) string{l.lockDiffers, l.companionDiffers, l.queueDiffers, l.moreDiffers, l.toldDiffers} {
		if text := differs(s); text != "" {
			return text
		}
	}
	return ""
}

func (l *lua) end(key string) int64 {
	left := l.do("PTTL", key).Int
	if left < 0 {
		return 0
	}
	return l.now + left
}

func (l *lua) lockDiffers(s *store) string {
	value := l.do("GET", luaKeys[0])
	is, holder := free, token{}
	n, err := strconv.ParseFloat(value.Str, 64)
	switch {
	case value.Kind == keyspace.Error:
		is = hash
	case value.Kind == keyspace.Nil:
	case len(value.Str) == 44:
		is, holder = ours, readToken(value.Str[12:])
	case err == nil && n > 0:
		is = stamp
	default:
		is = other
	}
	if is != s.lock.kind || is == ours && holder != s.lock.token || !near(l.end(luaKeys[0]), s.lock.end) {
		return fmt.Sprintf("under the lock is %q, which ends at %d", value.Str, l.end(luaKeys[0]))
	}
	return ""
}

func (l *lua) companionDiffers(s *store) string {
	value, c := l.do("GET", luaKeys[1]), s.companion
	if value.Kind == keyspace.Error {
		if !s.foreign {
			return "the companion is a hash"
		}
		return ""
	}
	if (value.Kind == keyspace.Bulk) != (c != nil) {
		return fmt.Sprintf("the companion is %q", value.Str)
	}
	if c == nil {
		return ""
	}
	v := value.Str
	base := func(digits string) int64 {
		n, _ := strconv.ParseInt(digits, 10, 64)
		if n == 0 {
			return 0
		}
		return (n+999)/1000 - offset // one more than the last is 1 µs here, and 1 ms in the model
	}
	last, first := base(v[2:18]), base(v[19:35])
	if v[18] == '-' {
		first = -first
	}
	if (v[1] == '0') != c.quiet || readToken(v[35:67]) != c.lease || last != c.last || c.lease != (token{}) && first != c.first ||
		!near(l.end(luaKeys[1]), c.end) {
		return fmt.Sprintf("the companion is %q: last %d, first %d, ends at %d", v, last, first, l.end(luaKeys[1]))
	}
	return ""
}

// queueDiffers compares those that are alive: the dead are dropped when they are met.
func (l *lua) queueDiffers(s *store) string {
	var want, got []string
	for _, w := range s.queue {
		if w.alive >= s.now {
			want = append(want, wire(w.token)+" "+asked(w))
		}
	}
	for _, m := range l.do("ZRANGE", luaKeys[3], "0", "-1").Array {
		got = append(got, m.Str)
	}
	got = slices.DeleteFunc(got, func(m string) bool { return l.alive(m) < s.now })
	for i, m := range got {
		got[i] = m + " " + l.do("HGET", luaKeys[4], m).Str
	}
	if !slices.Equal(want, got) {
		return fmt.Sprintf("%q wait, want %q", got, want)
	}
	return ""
}

func (l *lua) alive(member string) int64 {
	n, _ := strconv.ParseInt(fmt.Sprintf("%.13s", l.do("HGET", luaKeys[4], member).Str), 10, 64)
	return n - offset
}

func (l *lua) moreDiffers(s *store) string {
	var want, got []string
	for session, m := range s.settled {
		want = append(want, fmt.Sprintf("settled:%020d %012d", session, m.attempt))
	}
	if o := s.over; o != nil && s.now-o.when <= keep {
		want = append(want, "over "+column(o.when)[1:]+wire(o.lease))
	}
	if r := s.revoked; r != nil {
		want = append(want, "revoked "+wire(r.lease)+column(r.first))
	}
	all := slices.Clone(l.do("HGETALL", luaKeys[2]).Array)
	for i := 0; i < len(all); i += 2 {
		name, value := all[i].Str, all[i+1].Str
		if strings.HasPrefix(name, "settled:") {
			value = value[:12]
		}
		when, _ := strconv.ParseInt(value[:min(16, len(value))], 10, 64)
		if name == "until" || name == "pruned" || name == "over" && s.now-when/1000+offset > keep {
			continue
		}
		got = append(got, name+" "+value)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Sprintf("more has %q, want %q", got, want)
	}
	return ""
}

// toldDiffers compares what was told of a lease that was given.
func (l *lua) toldDiffers(s *store) string {
	var want, got []string
	if t := s.told; t != nil {
		others := map[bool]string{true: "1", false: "0"}[t.contended]
		want = append(want, fmt.Sprintf("%020d l%012d%016d%08d%s", t.token.session, t.token.attempt, t.ask, t.ttl, others))
	}
	for _, m := range l.keys.Published() {
		if m.Payload[0] != 'l' {
			continue
		}
		lease, whole := scripts.ReadLease(m.Payload[1:])
		if base := l.do("GET", luaKeys[1]).Str[2:18]; !whole || lease.Key != aLock || fmt.Sprintf("%016d", lease.Base) != base {
			return fmt.Sprintf("it told %q, and the newest base is %s", m.Payload, base)
		}
		session, p := strings.TrimPrefix(m.Channel, "turnstile:inbox:"), m.Payload
		got = append(got, session+" "+p[:13]+p[29:54])
	}
	if !slices.Equal(want, got) {
		return fmt.Sprintf("it told %q, want %q", got, want)
	}
	return ""
}
