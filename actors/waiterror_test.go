package actors

import (
	"context"
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
	},
	"place":   {{func(e *WaitError) { e.Place, e.Queue = 2, 7 }, "place 2 of 7 in this process"}},
	"process": {{func(e *WaitError) { e.Process = 3 }, "process 3 in line"}},
	"backend": {
		{func(e *WaitError) { e.Silent = true }, "the backend never answered"},
		{func(e *WaitError) { e.Silent, e.Err = true, backends.Unavailable("redis", io.EOF) }, "the backend never answered: backend unavailable: redis: EOF"},
		{func(e *WaitError) { e.Err = io.EOF }, "the backend's last error: EOF"},
	},
	"context": {{func(e *WaitError) { e.CtxError = context.DeadlineExceeded }, "(context deadline exceeded)"}},
}

// untidy is what a sentence looks like that was put together wrongly.
var untidy = regexp.MustCompile(`[:,] ?[:,]|  |: $|, $|:$|%!| for 0s| place 0|\n`)

// Every combination of what is known and what is not.
func TestAWaitErrorSaysWhatIsKnownAndNoMore(t *testing.T) {
	kinds := []string{"waited", "holder", "place", "process", "backend", "context"}
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
		if !strings.HasPrefix(got, `turnstile: timeout: key "k" not acquired`) || strings.Count(got, "turnstile:") != 1 || untidy.MatchString(got) {
			t.Errorf("%+v reads %q", e, got)
		}
		length := len(`turnstile: timeout: key "k" not acquired`)
		for _, f := range chosen {
			if !strings.Contains(got, f.says) {
				t.Errorf("%+v reads %q, want %q in it", e, got, f.says)
			}
			length += len(strings.TrimPrefix(f.says, " not acquired")) + len(", ")
		}
		if len(got) > length {
			t.Errorf("%+v reads %q, which says more than is known", e, got)
		}
		if errors.Is(&e, context.DeadlineExceeded) != (e.CtxError != nil) || errors.Is(&e, backends.ErrUnavailable) != e.Silent {
			t.Errorf("%+v matches what it should not, or does not match what it should", e)
		}
	}
	try(nil, kinds)
	if want := 3 * 6 * 2 * 2 * 4 * 2; n != want {
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
