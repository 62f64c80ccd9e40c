package kinds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/backends/embedded/keyspace"
)

// The keys of a lock, in their order.
const (
	itself = iota
	companionKey
	more
	queue
	alive
	holders
	itsShares
)

func (l *lua) do(args ...string) keyspace.Reply { return l.keys.Do(args...) }

// under is the lock's value as a string, and nothing of a free one.
func (v value) under() string {
	switch v.is {
	case ours:
		return stamped + wire(v.token)
	case marker:
		return stamped + name{marker: true, of: v.of}.wire()
	case stamp:
		return fmt.Sprintf("%d.%03d", (v.time+offset)/1000, (v.time+offset)%1000)
	case other:
		return "5c3f6e0a-3f3c-4d9b"
	}
	return ""
}

// enter makes a keyspace of the model's state.
func (l *lua) enter(s *store) {
	s.expire()
	s.heard = map[string]bool{}
	l.keys = keyspace.New(func() int64 { return (s.now + offset) * 1000 }, func(string) int { return 1 })
	px := func(end int64) string { return strconv.FormatInt(end-s.now, 10) }
	if s.lock.is != free {
		l.do("SET", names[itself], s.lock.under())
	}
	if s.lock.end != 0 {
		l.do("PEXPIRE", names[itself], px(s.lock.end))
	}
	if c := s.companion; c != nil {
		l.do("SET", names[companionKey], "2"+bit(!c.quiet)+column(c.last)+signed(c.first)+c.lease.wire()+"label", "PX", px(c.end))
	}
	l.enterMore(s, px)
	for i, w := range s.queue {
		l.do("ZADD", names[queue], strconv.FormatInt((w.score+offset)*1000+int64(i), 10), wire(w.token))
		l.do("HSET", names[alive], wire(w.token), w.asked())
	}
	l.do("PEXPIRE", names[queue], px(s.queueEnd))
	l.do("PEXPIRE", names[alive], px(s.queueEnd))
	for _, h := range s.shares {
		l.do("ZADD", names[holders], strconv.FormatInt(h.end+offset, 10), wire(h.token))
		l.do("HSET", names[itsShares], wire(h.token), h.value()+"label", "out", strconv.Itoa(s.out()))
		l.do("PEXPIRE", names[holders], px(s.shares[len(s.shares)-1].end))
		l.do("PEXPIRE", names[itsShares], px(s.shares[len(s.shares)-1].end))
	}
}

func (l *lua) enterMore(s *store, px func(int64) string) {
	until := int64(0)
	for session, attempt := range s.settled {
		l.do("HSET", names[more], fmt.Sprintf("settled:%020d", session), fmt.Sprintf("%012d%010d", attempt, (s.now+offset)/1000))
		until = max(until, s.until)
	}
	if o := s.over; o != nil {
		l.do("HSET", names[more], "over", column(o.when)+o.lease.wire())
		until = max(until, o.when+keep)
	}
	if s.revoked != (token{}) {
		l.do("HSET", names[more], "revoked", wire(s.revoked)+"+"+column(s.revokedFirst))
	}
	if until != 0 {
		l.do("HSET", names[more], "until", strconv.FormatInt((until+offset)*1000+1, 10))
	}
	l.do("PEXPIRE", names[more], px(max(s.moreEnd, s.queueEnd)))
}

// asked is what the scripts keep of a waiting attempt's newest ask.
func (w *waiter) asked() string {
	n, want := w.wish.n, w.wish.want
	if w.wish.kind != slots {
		n, want = 0, 0
	}
	kind, _, _ := wanted3(w.wish)
	return fmt.Sprintf("%013d1%08d%016d%s%05d%02dlabel", w.alive+offset, living, 0, kind, n, want)
}

// value is the share's, but for its label, and its n, of which the model knows nothing.
func (h *share) value() string {
	return fmt.Sprintf("%05d00000%s%s%s", h.permits, column(h.first), column(h.base), bit(h.revoked))
}

// differs says how the keyspace differs from the model's state.
func (l *lua) differs(s *store, told bool) string {
	for _, differs := range []func(*store) string{l.lockDiffers, l.companionDiffers, l.queueDiffers, l.moreDiffers, l.sharesDiffer} {
		if text := differs(s); text != "" {
			return text
		}
	}
	if told {
		return l.toldDiffers(s)
	}
	return ""
}

func (l *lua) end(s *store, key string) int64 {
	left := l.do("PTTL", key).Int
	if left < 0 {
		return 0
	}
	return s.now + left
}

func (l *lua) lockDiffers(s *store) string {
	got := l.do("GET", names[itself]).Str
	if end := l.end(s, names[itself]); got != s.lock.under() || !near(end, s.lock.end) {
		return fmt.Sprintf("under the lock is %q, which ends at %d", got, end)
	}
	return ""
}

func (l *lua) companionDiffers(s *store) string {
	v, c := l.do("GET", names[companionKey]).Str, s.companion
	if (v != "") != (c != nil) {
		return fmt.Sprintf("the companion is %q", v)
	}
	if c == nil {
		return ""
	}
	last, first := milli(v[2:18]), milli(v[19:35])
	if v[18] == '-' {
		first = -first
	}
	end := l.end(s, names[companionKey])
	if (v[1] == '0') != c.quiet || v[35:67] != c.lease.wire() || last != c.last || c.lease != (name{}) && first != c.first || !near(end, c.end) {
		return fmt.Sprintf("the companion is %q: last %d, first %d, ends at %d", v, last, first, end)
	}
	return ""
}

// queueDiffers compares those that are alive, and have not ended: the others are dropped when they are met.
func (l *lua) queueDiffers(s *store) string {
	var want, got []string
	for _, w := range s.queue {
		if !s.gone(&w) {
			want = append(want, wire(w.token)+" "+w.asked())
		}
	}
	for _, m := range slices.Clone(l.do("ZRANGE", names[queue], "0", "-1").Array) {
		asked := l.do("HGET", names[alive], m.Str).Str
		until, _ := strconv.ParseInt(fmt.Sprintf("%.13s", asked), 10, 64)
		if w := (waiter{token: readToken(m.Str), alive: until - offset}); !s.gone(&w) {
			got = append(got, m.Str+" "+asked)
		}
	}
	if !slices.Equal(want, got) {
		return fmt.Sprintf("%q wait, want %q", got, want)
	}
	return ""
}

func (l *lua) moreDiffers(s *store) string {
	var want, got []string
	for session, attempt := range s.settled {
		want = append(want, fmt.Sprintf("settled:%020d %012d", session, attempt))
	}
	if o := s.over; o != nil && s.now-o.when <= keep {
		want = append(want, "over "+column(o.when)+o.lease.wire())
	}
	if s.revoked != (token{}) {
		want = append(want, "revoked "+wire(s.revoked))
	}
	all := slices.Clone(l.do("HGETALL", names[more]).Array)
	for i := 0; i < len(all); i += 2 {
		name, value := all[i].Str, all[i+1].Str
		switch {
		case strings.HasPrefix(name, "settled:"):
			value = value[:12]
		case name == "revoked":
			value = value[:32]
		case name != "over" || s.now-milli(value[:16]) > keep:
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

// sharesDiffer compares the shares while a marker is there or may be put back: otherwise they count for nothing.
func (l *lua) sharesDiffer(s *store) string {
	if s.lock.is != marker && s.lock.is != stamp {
		return ""
	}
	var want, got []string
	for _, h := range s.shares {
		if h.end > s.now {
			want = append(want, wire(h.token)+" "+h.value())
		}
	}
	ends, out := int64(0), 0 // with those that are over, and were not met yet
	all := slices.Clone(l.do("ZRANGE", names[holders], "0", "-1", "WITHSCORES").Array)
	for i := 0; i < len(all); i += 2 {
		member, v := all[i].Str, l.do("HGET", names[itsShares], all[i].Str).Str
		end, _ := strconv.ParseInt(all[i+1].Str, 10, 64)
		permits, _ := strconv.Atoi(fmt.Sprintf("%.5s", v))
		out += permits
		if end -= offset; end <= s.now || len(v) < 43 {
			continue
		}
		first, base := column(milli(v[10:26])), column(milli(v[26:42]))
		got = append(got, member+" "+v[:5]+"00000"+first+base+v[42:43])
		if own := s.share(readToken(member)); own == nil || !near(own.end, end) {
			return fmt.Sprintf("the share of %s ends at %d", member, end)
		}
		ends = max(ends, end)
	}
	slices.Sort(want)
	slices.Sort(got)
	said, _ := strconv.Atoi(l.do("HGET", names[itsShares], "out").Str)
	if !slices.Equal(want, got) || len(got) > 0 && said != out {
		return fmt.Sprintf("the shares are %q, want %q; %d are out, want %d", got, want, said, out)
	}
	if len(got) > 0 && (!near(l.end(s, names[holders]), ends) || !near(l.end(s, names[itsShares]), ends)) && s.lock.is == marker {
		return fmt.Sprintf("the names of the shares end at %d and %d", l.end(s, names[holders]), l.end(s, names[itsShares]))
	}
	return ""
}

func readToken(member string) (t token) {
	t.session, _ = strconv.Atoi(member[:20])
	t.attempt, _ = strconv.Atoi(member[20:32])
	return t
}

// toldDiffers compares to which sessions which messages went.
func (l *lua) toldDiffers(s *store) string {
	got := map[string]bool{}
	for _, m := range l.keys.Published() {
		letter := m.Payload[:1]
		if letter == "l" {
			letter = "g"
		}
		got[strings.TrimPrefix(m.Channel, "turnstile:inbox:")+letter] = true
	}
	for said := range s.heard {
		if !got[said] {
			return fmt.Sprintf("it told %v, want %v", got, s.heard)
		}
	}
	if len(got) != len(s.heard) {
		return fmt.Sprintf("it told %v, want %v", got, s.heard)
	}
	return ""
}
