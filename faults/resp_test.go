//go:build unix

package faults

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/turnstile-go/turnstile/scripts"
)

// A value is one of Redis's protocol: a text, or a list of values. kind is its first
// byte.
type value struct {
	kind byte
	text string
	list []value
}

// values reads all that are whole in p; rest is left.
func values(p []byte) (all []value, rest []byte) {
	for {
		v, behind, ok := nextValue(p)
		if !ok {
			return all, p
		}
		all, p = append(all, v), behind
	}
}

func nextValue(p []byte) (v value, rest []byte, ok bool) {
	end := bytes.Index(p, []byte("\r\n"))
	if end < 1 {
		return v, nil, false
	}
	v, rest = value{kind: p[0], text: string(p[1:end])}, p[end+2:]
	n, _ := strconv.Atoi(v.text) // 0 where it is no length
	switch v.kind {
	case '$':
		if n < 0 {
			return v, rest, true
		}
		if len(rest) < n+2 {
			return v, nil, false
		}
		v.text = string(rest[:n])
		return v, rest[n+2:], true
	case '%':
		n *= 2
	case '*', '>', '~':
	default:
		return v, rest, true
	}
	for range n {
		var item value
		if item, rest, ok = nextValue(rest); !ok {
			return v, nil, false
		}
		v.list = append(v.list, item)
	}
	return v, rest, true
}

// An ask is one verb on one key, of a call of a script.
type ask struct {
	verb       verb
	key, token string
	at         int // its place in the reply, where that has one for each ask
}

type verb int

const (
	fastTake verb = iota
	fastFree
	fullTake
	otherCall
)

func (v verb) String() string {
	return [...]string{"fast take", "fast free", "full acquire", "another call"}[v]
}

// asks are those of one request.
func (v value) asks() (all []ask) {
	if len(v.list) < 4 || v.list[0].text != "evalsha" && v.list[0].text != "eval" {
		return nil
	}
	is := func(s *scripts.Script) bool { return v.list[1].text == s.SHA() || v.list[1].text == s.Source() }
	n, err := strconv.Atoi(v.list[2].text)
	if err != nil || len(v.list) < 4+n {
		return nil
	}
	keys, args := v.list[3:3+n], v.list[3+n:]
	if !is(scripts.Fast) {
		what := otherCall
		if is(scripts.Acquire) {
			what = fullTake
		}
		return []ask{{what, keys[0].text, args[0].text, 0}}
	}
	frees, _ := strconv.Atoi(args[0].text)
	args = args[1:]
	for i := range n / 2 {
		a := ask{fastFree, keys[2*i].text, args[0].text, i}
		if args = args[1:]; i >= frees {
			a.verb, args = fastTake, args[2:]
		}
		all = append(all, a)
	}
	return all
}

func (a ask) takes() bool { return a.verb == fastTake || a.verb == fullTake }

// left reports what a copy that came too late has left behind, by its reply; "" is
// nothing.
func (a ask) left(reply value) string {
	switch a.verb {
	case fastTake:
		if words := strings.Fields(reply.text); a.at < len(words) && words[a.at] == a.token[len(a.token)-12:]+"0" {
			return ""
		}
	case fullTake:
		if len(reply.list) > 1 && reply.list[1].text == "-1" {
			return ""
		}
		if reply.held() && !a.queued(reply) {
			return ""
		}
	default:
		return ""
	}
	return a.verb.String() + " of " + a.key + " was answered " + reply.String()
}

// held reports whether it is the full script's answer to an acquire of a held key.
func (v value) held() bool { return len(v.list) > 6 && v.list[1].text == "0" }

// queued reports whether a late copy is in the queue, by its reply.
func (a ask) queued(reply value) bool {
	return a.verb == fullTake && reply.held() && reply.list[5].text != "0"
}

func (v value) String() string {
	if v.list == nil {
		return strconv.Quote(v.text)
	}
	s := "{"
	for _, item := range v.list {
		s += item.String() + " "
	}
	return s + "}"
}
