package actors

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/turnstile-go/turnstile/backends"
)

// A WaitError says why an acquire ended without a hold. errors.Is matches:
//
//	somebody has the key; time is over, or it was one try   ErrTimeout, ErrHeld
//	no attempt ever got an answer; time is over             ErrTimeout, ErrUnavailable
//	one try, no answer                                      ErrUnavailable
//	ctx's deadline ended the wait                           as above, and context.DeadlineExceeded
type WaitError struct {
	Key      string
	Waited   time.Duration
	Try      bool          // it was one try
	Place    int           // in this process's queue, from 1; 0 when never queued, or deep in a long one
	Queue    int           // how many waited in this process, this one included
	Process  int           // this process's place among those that wait, from 1; 0 when unknown
	Held     bool          // somebody has the key, or this process while it is between two holds
	Holder   string        // the holder's label; empty when unknown
	Local    bool          // the holder is in this process
	HeldFor  time.Duration // how long the holder has had the key; 0 when unknown
	Kind     backends.Kind // what is held
	Out      int           // how many shares, or permits, there were at the last answer; 0 for a lock
	Silent   bool          // the backend gave no answer during the whole wait; then nobody is known to hold
	Err      error         // the last error of the backend, or nil
	CtxError error         // context.DeadlineExceeded when the caller's ctx ended the wait
}

// Error says all of it in one line, as in
//
//	turnstile: timeout: key "k" not acquired in 1.2s: held by a:123 for 5m3s, place 2 of 7 in this process, process 3 in line
//
// What is unknown is left out.
func (e *WaitError) Error() string {
	var b strings.Builder
	kind := backends.ErrTimeout
	if e.unanswered() {
		kind = backends.ErrUnavailable // there was no time that could be over
	}
	fmt.Fprintf(&b, "%v: key %q not acquired", kind, e.Key)
	if e.Waited > 0 {
		fmt.Fprintf(&b, " in %v", round(e.Waited))
	}
	if e.CtxError != nil {
		fmt.Fprintf(&b, " (%v)", e.CtxError)
	}
	if why := e.circumstances(); len(why) > 0 {
		b.WriteString(": " + strings.Join(why, ", "))
	}
	if e.Err != nil {
		said := backends.Bare(e.Err)
		if e.unanswered() {
			said = strings.TrimPrefix(said, backends.Bare(backends.ErrUnavailable)+": ") // it stands in front
		}
		b.WriteString(": " + said)
	}
	return b.String()
}

// circumstances are what is known of the wait, in the order of what a reader asks:
// who has it, who else wants it, and whether the backend can be trusted to know.
func (e *WaitError) circumstances() []string {
	var all []string
	if who := e.holder(); who != "" {
		all = append(all, who)
	}
	if e.Place > 0 {
		all = append(all, fmt.Sprintf("place %d of %d in this process", e.Place, e.Queue))
	}
	if e.Process > 0 {
		all = append(all, fmt.Sprintf("process %d in line", e.Process))
	}
	switch {
	case e.Silent:
		all = append(all, "the backend never answered")
	case e.Err != nil:
		all = append(all, "the backend's last error") // it answered before, or since
	}
	return all
}

func (e *WaitError) holder() string {
	by := "held by another"
	switch {
	case e.Kind != backends.Exclusive:
		return e.holders()
	case e.Local:
		by = "held in this process"
	case e.Holder != "":
		by = "held by " + legible(e.Holder)
	case e.HeldFor == 0:
		return "" // perhaps by nobody
	}
	if e.HeldFor > 0 {
		by += fmt.Sprintf(" for %v", round(e.HeldFor))
	}
	return by
}

// holders is holder of a key that is held shared, or by slot holds.
func (e *WaitError) holders() string {
	by := "held shared"
	switch {
	case e.Kind == backends.Slots && e.Out == 1:
		by = "1 slot held"
	case e.Kind == backends.Slots && e.Out == 0:
		by = "slots held"
	case e.Kind == backends.Slots:
		by = fmt.Sprintf("%d slots held", e.Out)
	case e.Out > 1:
		by += fmt.Sprintf(" by %d", e.Out)
	}
	if e.HeldFor > 0 {
		by += fmt.Sprintf(" for %v", round(e.HeldFor))
	}
	who := legible(e.Holder)
	if e.Local {
		who = "in this process"
	}
	switch {
	case who == "":
		return by
	case e.Out > 1:
		return by + ", one of them " + who
	case e.Local:
		return by + ", " + who
	}
	return by + ", by " + who
}

// legible keeps a label, which is another process's to choose, from writing lines
// of its own in a log.
func legible(label string) string {
	if q := strconv.Quote(label); q != `"`+label+`"` {
		return q
	}
	return label
}

// unanswered reports whether this was one try that got no answer.
func (e *WaitError) unanswered() bool { return e.Try && e.Silent && !e.held() }

// held reports whether the error names a holder, even without a label.
func (e *WaitError) held() bool { return e.Held || e.Local || e.Holder != "" }

// Unwrap lists what the error matches.
func (e *WaitError) Unwrap() []error {
	var errs []error
	if !e.unanswered() {
		errs = append(errs, backends.ErrTimeout)
	}
	switch {
	case e.held():
		errs = append(errs, backends.ErrHeld)
	case e.Silent:
		errs = append(errs, backends.ErrUnavailable)
	}
	if e.CtxError != nil {
		errs = append(errs, e.CtxError)
	}
	return errs
}

// MarshalJSON writes durations in seconds, and leaves out unknown values. A key
// that is no UTF-8 has its bytes in key_base64 as well.
func (e *WaitError) MarshalJSON() ([]byte, error) {
	out := struct {
		Key      string  `json:"key"`
		Bytes    []byte  `json:"key_base64,omitempty"`
		Waited   float64 `json:"waited_seconds"`
		Try      bool    `json:"try,omitempty"`
		Place    int     `json:"place,omitempty"`
		Queue    int     `json:"queue,omitempty"`
		Process  int     `json:"process,omitempty"`
		Held     bool    `json:"held"`
		Holder   string  `json:"holder,omitempty"`
		Local    bool    `json:"local,omitempty"`
		HeldFor  float64 `json:"held_for_seconds,omitempty"`
		Kind     string  `json:"kind,omitempty"`
		Out      int     `json:"out,omitempty"`
		Silent   bool    `json:"silent,omitempty"`
		Err      string  `json:"error,omitempty"`
		CtxError string  `json:"ctx_error,omitempty"`
	}{Key: e.Key, Waited: seconds(e.Waited), Try: e.Try, Place: e.Place, Queue: e.Queue, Process: e.Process,
		Held: e.held(), Holder: e.Holder, Local: e.Local, HeldFor: seconds(e.HeldFor), Out: e.Out, Silent: e.Silent}
	if e.held() {
		out.Kind = e.Kind.String()
	}
	if !utf8.ValidString(e.Key) {
		out.Bytes = []byte(e.Key)
	}
	if e.Err != nil {
		out.Err = backends.Bare(e.Err)
	}
	if e.CtxError != nil {
		out.CtxError = e.CtxError.Error()
	}
	return json.Marshal(out)
}

// seconds are whole milliseconds: finer ones read like 29.721921000000002.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// round keeps what a reader wants of a duration: three digits or so.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second)
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return max(d.Round(10*time.Microsecond), 10*time.Microsecond) // 0s would be no wait
}
