package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/turnstile-go/turnstile/lockclient"
)

// What release says. Results go to stdout; the question, and what happens
// meanwhile, to stderr.

func (v *revocation) name() string { return printable(v.key) }

// say is the end of a release that did what was asked.
func (v *revocation) say(format string, args ...any) error {
	if v.quiet {
		return nil
	}
	_, err := fmt.Fprintf(v.stdout, format+"\n", args...)
	return err
}

func (v *revocation) free() error { return v.say("nobody holds %s", v.name()) }

// mention says what happens meanwhile.
func (v *revocation) mention(format string, args ...any) {
	if !v.quiet {
		fmt.Fprintln(v.stderr, "turnstile: "+fmt.Sprintf(format, args...))
	}
}

// still is the end of a release whose key is not free.
func (v *revocation) still(format string, args ...any) error {
	return &exitError{code: exitConflict, err: fmt.Errorf("%s is still "+format, append([]any{v.name()}, args...)...), quiet: true}
}

// ranOut is the end of a release whose holder never answered.
func (v *revocation) ranOut(before lockclient.Info, waited time.Duration) error {
	err := fmt.Errorf("%s is free, since its lease ran out after %s: %s did not let go, and may still be at work", v.name(), readable(waited), owner(before))
	return &exitError{code: exitLost, err: err, quiet: true}
}

// superseded tells who has the key by now.
func (v *revocation) superseded(ctx context.Context, fence uint64) error {
	err := fmt.Errorf("%s is no longer held under fence %d", v.name(), fence)
	if now, e := v.client.Inspect(ctx, v.key); e == nil && now.Held {
		err = fmt.Errorf("%w, but by %s: nothing was revoked", err, sketch(now))
	}
	return &exitError{code: exitConflict, err: err, quiet: true}
}

// broken is the end by an interrupt, or by a backend that failed. What was revoked
// before stays so, and whoever reads of the end has to know.
func (v *revocation) broken(ctx context.Context, err error) error {
	var sig *interrupt
	if errors.As(context.Cause(ctx), &sig) {
		e := &exitError{code: exitSignal + int(sig.number)}
		if v.done != "" {
			e.err, e.quiet = fmt.Errorf("interrupted while waiting for %s: %s", v.name(), v.done), true
		}
		return e
	}
	err = v.failed(err)
	if v.done != "" {
		return fmt.Errorf("%w (%s: %s)", err, v.name(), v.done)
	}
	return err
}

// refused is the end of a release that was not wanted after all.
func (v *revocation) refused(ctx context.Context, err error) error {
	if err != nil {
		return v.broken(ctx, err)
	}
	return &exitError{code: exitConflict, err: errors.New("nothing was revoked"), quiet: true}
}

// ask shows who holds the key and asks. No answer is a no.
func (v *revocation) ask(ctx context.Context, i lockclient.Info) (bool, error) {
	what := "Tell it to stop?"
	switch {
	case v.now:
		what = "It may go on beside the next holder. Delete the key all the same?"
	case i.Foreign:
		what = "It can't be told to stop. Wait until its key ends?"
	}
	whose := " is held by " + sketch(i) + ". "
	switch {
	case i.Resting:
		whose, what = " rests after "+sketch(i)+". ", "End its rest?"
	case len(i.Holders) > 1:
		whose = ": " + together(i.Kind, i.Out) + "\n  " + strings.Join(holderLines(i), "\n  ") + "\n"
		if !v.now {
			what = "Tell them to stop?"
		}
	}
	fmt.Fprintf(v.stderr, "%s%s%s [y/N] ", v.name(), whose, what)
	answer := make(chan string, 1)
	go func() { // ends with its line, or with the process: a read of a terminal can't be cut short
		line, _ := bufio.NewReader(v.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		return a == "y" || a == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(v.stderr) // the shell's prompt comes next
		return false, ctx.Err()
	}
}

// stillThere is what those do that were told to stop and have not; the end of their lease follows.
func stillThere(i lockclient.Info) string {
	if len(i.Holders) > 1 {
		return "were told to stop, and have not let go yet: the last of their leases ends in"
	}
	return "was told to stop, and has not let go yet: its lease ends in"
}

// owner names the holder.
func owner(i lockclient.Info) string {
	switch {
	case i.Foreign:
		return "another library's client"
	case len(i.Holders) > 1:
		return fmt.Sprintf("%d holders", len(i.Holders))
	case i.Holder == nil || *i.Holder == "":
		return "an unknown holder"
	}
	return printable(*i.Holder)
}

// sketch is the holder in a few words: a.example:123 (fence 17, for 5m3s, 2 wait).
func sketch(i lockclient.Info) string {
	var facts []string
	if f := fenceOf(i); f != unknown && len(i.Holders) < 2 {
		facts = append(facts, "fence "+f)
	}
	if i.HeldFor != nil {
		facts = append(facts, "for "+ago(i.HeldFor))
	}
	if i.Processes != nil && *i.Processes > 0 {
		facts = append(facts, count(i.Processes)+" waiting")
	}
	if len(facts) == 0 {
		return owner(i)
	}
	return owner(i) + " (" + strings.Join(facts, ", ") + ")"
}
