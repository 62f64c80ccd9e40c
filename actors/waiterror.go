package actors

import (
	"fmt"
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

// Error says all of it in one line.
func (e *WaitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: key %q not acquired", backends.ErrTimeout, e.Key)
	if e.Waited > 0 {
		fmt.Fprintf(&b, " in %v", round(e.Waited))
	}
	if e.Place > 0 {
		fmt.Fprintf(&b, ", place %d of %d in this process", e.Place, e.Queue)
	}
	if e.Process > 0 {
		fmt.Fprintf(&b, ", which is number %d in line", e.Process)
	}
	switch {
	case e.Holder != "" && e.HeldFor > 0:
		fmt.Fprintf(&b, ", held by %s for %v", e.Holder, round(e.HeldFor))
	case e.Holder != "":
		fmt.Fprintf(&b, ", held by %s", e.Holder)
	}
	if e.Silent {
		b.WriteString(", the backend never answered")
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
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
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
