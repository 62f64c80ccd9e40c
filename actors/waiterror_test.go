package actors

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A fact is what may be known of a wait, and what its error says of it.
type fact struct {
	set  func(*WaitError)
	says string // empty: nothing is to be said
}

// Facts of one kind exclude each other.
var facts = map[string][]fact{
	"waited": {
		{func(e *WaitError) { e.Waited = 1234 * time.Millisecond }, " not acquired in 1.23s"},
		{func(e *WaitError) { e.Waited = time.Nanosecond }, " not acquired in 10\u00b5s"},
	},
	"holder": {
		{func(e *WaitError) { e.Holder = "a.example:123" }, "held by a.example:123"},
		{func(e *WaitError) { e.Holder, e.HeldFor = "a.example:123", 5*time.Minute+3*time.Second }, "held by a.example:123 for 5m3s"},
		{func(e *WaitError) { e.Holder, e.Local, e.HeldFor = "me:1", true, 90*time.Millisecond }, "held in this process for 90ms"},
		{func(e *WaitError) { e.Local = true }, "held in this process"},
		{func(e *WaitError) { e.HeldFor = time.Second }, "held by another for 1s"},
		{func(e *WaitError) {
			e.Kind, e.Out, e.Holder, e.HeldFor = backends.Shared, 3, "a.example:123", 4*time.Second
		}, "held shared by 3 for 4s, one of them a.example:123"},
		{func(e *WaitError) { e.Kind, e.Out, e.Holder = backends.Shared, 1, "a.example:123" }, "held shared, by a.example:123"},
		{func(e *WaitError) { e.Kind, e.Holder, e.Local = backends.Shared, "me:1", true }, "held shared, in this process"},
		{func(e *WaitError) { e.Kind, e.Out, e.Holder = backends.Slots, 3, "a.example:123" }, "3 slots held, one of them a.example:123"},
		{func(e *WaitError) { e.Kind, e.Out, e.Holder = backends.Slots, 1, "a.example:123" }, "1 slot held, by a.example:123"},
		{func(e *WaitError) { e.Kind, e.Holder, e.Local, e.HeldFor = backends.Slots, "me:1", true, time.Second }, "slots held for 1s, in this process"},
	},
	"place":   {{func(e *WaitError) { e.Place, e.Queue = 2, 7 }, "place 2 of 7 in this process"}},
	"process": {{func(e *WaitError) { e.Process = 3 }, "process 3 in line"}},
	"backend": {
		{func(e *WaitError) { e.Silent = true }, "the backend never answered"},
		{func(e *WaitError) { e.Silent, e.Err = true, backends.Unavailable("redis", io.EOF) }, "the backend never answered: backend unavailable: redis: EOF"},
		{func(e *WaitError) { e.Err = io.EOF }, "the backend's last error: EOF"},
	},
	"kind": {
		{func(e *WaitError) { e.Held = true }, ""},
		{func(e *WaitError) { e.Try = true }, ""},
	},
	"context": {{func(e *WaitError) { e.CtxError = context.DeadlineExceeded }, "(context deadline exceeded)"}},
}

// untidy is what a sentence looks like that was put together wrongly.
var untidy = regexp.MustCompile(`[:,] ?[:,]|  |: $|, $|:$|%!| for 0s| place 0|\n`)

// Every combination of what is known and what is not.
func TestAWaitErrorSaysWhatIsKnownAndNoMore(t *testing.T) {
	kinds := []string{"waited", "holder", "place", "process", "backend", "kind", "context"}
	n := 0
	var try func(chosen []fact, rest []string)
	try = func(chosen []fact, rest []string) {
		if len(rest) > 0 {
			try(chosen, rest[1:])
			for _, f := range facts[rest[0]] {
				try(append(chosen[:len(chosen):len(chosen)], f), rest[1:])
			}
			return
		}
		n++
		e := WaitError{Key: "k"}
		for _, f := range chosen {
			f.set(&e)
		}
		got := e.Error()
		named := e.Held || e.Local || e.Holder != ""
		unanswered := e.Try && e.Silent && !named
		front := `turnstile: timeout: key "k" not acquired`
		if unanswered {
			front = `turnstile: backend unavailable: key "k" not acquired`
		}
		if !strings.HasPrefix(got, front) || strings.Count(got, "turnstile:") != 1 || untidy.MatchString(got) {
			t.Errorf("%+v reads %q", e, got)
		}
		length := len(front)
		for _, f := range chosen {
			says := f.says
			if unanswered {
				says = strings.Replace(says, "backend unavailable: ", "", 1) // it stands in front
			}
			if !strings.Contains(got, says) {
				t.Errorf("%+v reads %q, want %q in it", e, got, says)
			}
			length += len(strings.TrimPrefix(says, " not acquired")) + len(", ")
		}
		if len(got) > length {
			t.Errorf("%+v reads %q, which says more than is known", e, got)
		}
		for kind, want := range map[error]bool{
			context.DeadlineExceeded: e.CtxError != nil,
			backends.ErrTimeout:      !unanswered,
			backends.ErrHeld:         named,
			backends.ErrUnavailable:  e.Silent && !named,
		} {
			if errors.Is(&e, kind) == want {
				continue
			}
			t.Errorf("%+v matches what it should not, or does not match what it should", e)
		}
	}
	try(nil, kinds)
	if want := 3 * 12 * 2 * 2 * 4 * 3 * 2; n != want {
		t.Fatalf("%d sentences, want %d", n, want)
	}
}

// A label is another process's to choose, and a log is read line by line.
func TestAWaitErrorIsOneLineWhateverTheLabel(t *testing.T) {
	for label, want := range map[string]string{
		"a:1\nturnstile: all is well": `"a:1\nturnstile: all is well"`,
		"\x1b[2Jcleared":              `"\x1b[2Jcleared"`,
		"the nightly backup":          "the nightly backup",
		"\xff":                        `"\xff"`,
	} {
		e := WaitError{Key: "k\n", Holder: label}
		if got := e.Error(); !strings.Contains(got, "held by "+want) || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("label %q: %q, want it as %s", label, got, want)
		}
	}
}

func TestAWaitErrorAsJSON(t *testing.T) {
	for want, e := range map[string]*WaitError{
		`{"key":"k","waited_seconds":0,"held":false}`: {Key: "k"},
		`{"key":"k","waited_seconds":29.721,"place":2,"queue":7,"process":3,"held":true,"holder":"a:1","held_for_seconds":303,"kind":"exclusive","ctx_error":"context deadline exceeded"}`: {
			Key: "k", Waited: 29721921 * time.Microsecond, Place: 2, Queue: 7, Process: 3, Held: true,
			Holder: "a:1", HeldFor: 303 * time.Second, CtxError: context.DeadlineExceeded},
		`{"key":"k","waited_seconds":0.001,"try":true,"held":true,"holder":"me","local":true,"kind":"exclusive"}`: {
			Key: "k", Waited: 1999 * time.Microsecond, Try: true, Holder: "me", Local: true},
		`{"key":"k","waited_seconds":1,"held":true,"holder":"a:1","kind":"slots","out":3}`: {
			Key: "k", Waited: time.Second, Held: true, Holder: "a:1", Kind: backends.Slots, Out: 3},
		`{"key":"\ufffdx","key_base64":"/3g=","waited_seconds":2,"held":false,"silent":true,"error":"backend unavailable: redis: EOF"}`: {
			Key: "\xffx", Waited: 2 * time.Second, Silent: true, Err: backends.Unavailable("redis", io.EOF)},
	} {
		if got, err := json.Marshal(e); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
