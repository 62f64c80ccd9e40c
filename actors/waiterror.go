package actors

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/backends"
)

// A WaitError says why an acquire ended without a hold: errors.Is matches
// ErrTimeout, ErrUnavailable if no attempt got an answer from the backend, and
// the caller's ctx.Err() when its deadline was what ended the wait.
type WaitError struct {
	Key      string
	Waited   time.Duration
	Place    int           // in this process's queue, from 1; 0 when never queued, or deep in a long one
	Queue    int           // how many waited in this process, this one included
	Process  int           // this process's place among those that wait, from 1; 0 when unknown
	Holder   string        // the holder's label; empty when unknown
	Local    bool          // the holder is in this process
	HeldFor  time.Duration // how long the holder has had the key; 0 when unknown
	Silent   bool          // the backend gave no answer during the whole wait
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
	fmt.Fprintf(&b, "%v: key %q not acquired", backends.ErrTimeout, e.Key)
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
		b.WriteString(": " + backends.Bare(e.Err))
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

// legible keeps a label, which is another process's to choose, from writing lines
// of its own in a log.
func legible(label string) string {
	if q := strconv.Quote(label); q != `"`+label+`"` {
		return q
	}
	return label
}

// Unwrap lists what the error matches.
func (e *WaitError) Unwrap() []error {
	errs := []error{backends.ErrTimeout}
	if e.Silent {
		errs = append(errs, backends.ErrUnavailable)
	}
	if e.CtxError != nil {
		errs = append(errs, e.CtxError)
	}
	return errs
}

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
